"""Lint of definition files: what is legal but probably wrong, and what would fail only when a target is built.

    report = lint(LintRequest(options, names=["web"], skipped={"unused-variable"}))

`rules` is the table of all rules, `linting` runs them, `report` holds the outcome and its machine-readable forms. The
other modules look for things: `files` at the blocks as written, `names` at variables, functions and attributes,
`graph` at how targets and groups refer to each other, `builds` at what targets would build, `comments` for
`lint:ignore`.
"""
