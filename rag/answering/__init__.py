"""The line of one question: what is searched, found, quoted or written, and checked.

`assistant` knows the order, `search` that of a search; `opening` makes an assistant from settings. Every other
module is a stage or a tool of one: it gets values and callables, gives a new value, and imports no other stage.
"""
