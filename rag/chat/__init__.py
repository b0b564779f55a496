"""Several questions, one after the other: the conversation, its commands, its prompt, and where it is kept."""
