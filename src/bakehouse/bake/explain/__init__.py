"""Where the values of resolved targets come from (`bakehouse explain`).

`bake.recorder` takes notes while a definition is loaded and resolved; `provenance` reads them backwards from a value to
what supplied it, `names` goes on through the names in an expression, `answers` puts questions and answers in shape.
Nothing that prints or builds imports this package.
"""
