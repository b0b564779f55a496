"""Chat models: the one client, the servers it knows, and the time that a question may take."""
