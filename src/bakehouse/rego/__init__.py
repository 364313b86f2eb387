"""The policy language Rego, as version 1 of the Open Policy Agent evaluates it: text in, a decision out.

`lexer` and `parser` make a `syntax.Module` of a text, `scopes` says what its names mean and in which order a body is
evaluated, `evaluation` searches for answers, `functions` are the built-in ones. Knows nothing of builds: a caller gives
the input, in which members may be unknown (`values.Object.unknown`), and functions of its own.
"""
