"""Source policies: which sources a build may use, and which are used instead (engine.md §22).

`rules` evaluates the rules of a policy file, `reading` reads one, `sources` applies a policy to graphs.
"""
