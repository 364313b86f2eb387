"""How Go's standard library, and the few libraries that every peer uses beside it, read and write text. Ground floor.

The peers are Go programs, so their blanks, quotes, paths, wildcards, numbers, CSV and JSON are part of our formats and
of our messages. What is here knows of no room and raises `ValueError` in Go's words; rooms turn that into their own
errors. Invalid UTF-8 arrives as lone surrogates (`surrogateescape`).

Not here, though it looks alike: paths of bytes in archives (`snapshots.treewriter`), HCL's number text and calendar
(`hcl.numbers`, `hcl.functions.times`: its own messages, years beyond four digits), multi-line CSV
(`hcl.functions.encoding`), the pattern language of ignore files (`dockerfile.patterns`).

On the start-up path: no `typing`, `dataclasses` or `re` while a module is loaded.
"""
