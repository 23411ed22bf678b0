"""A Hub id or a folder becomes a loaded network with its preprocessing, head and gradient layers.

The way through the modules: `resolving` (name to exact files), `formats` (one module for each repository layout),
`loading` (the checks that every network passes), and the result, `checkpoint`.
"""
