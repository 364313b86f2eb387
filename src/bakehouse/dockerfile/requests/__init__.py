"""Questions about a Dockerfile instead of a build of it: BuildKit's subrequests (dockerfile.md §16).

A method a module: `lint`, `outline`, `targets`, `convertllb`, `describe`. Each has a function from a request to an
answer and the answer as a value, which knows its JSON, byte for byte that of BuildKit, and its text for people.
`methods` finds them by name.
"""
