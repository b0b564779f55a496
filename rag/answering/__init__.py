"""The line of one question: what is searched, found, quoted or written, and checked.

`assistant` alone knows the order. Every other module here is a stage or a tool of one: it gets values and
callables, gives a new value, and imports no other stage.
"""
