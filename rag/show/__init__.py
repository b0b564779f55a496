"""How anything is shown or written: at a terminal, in a pipe, in a file of another program."""
