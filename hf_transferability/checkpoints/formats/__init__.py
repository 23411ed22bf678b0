"""Repository layouts: one module for each, and the choice between them.

`choosing` looks at the names of a repository's files; `building` makes a network with loaded weights from them. A layout that
cannot be ranked is refused with its name and what can be done instead.
"""
