"""What to do about an error of this room that says so nowhere else: a sentence by code, and for some codes by what the
message says. Errors that know more bring their own hint."""

from __future__ import annotations

_BY_CODE = {
    "bad-pattern": "Write a pattern behind the exclamation mark.",
    "blank-name": "Write a name before the equals sign.",
    "duplicate-parser-directive": "Keep one of the two lines.",
    "empty-dockerfile": "A Dockerfile begins with FROM.",
    "empty-volume": "Write a path, such as VOLUME /data.",
    "heredoc-as-destination": "Put the destination last, behind the names of the here-documents.",
    "inconsistent-git-options": "Say it in the URL or with the flag, and the same for all sources of the instruction.",
    "invalid-checksum": "--checksum goes with a single http or git source.",
    "invalid-chmod": "Write an octal mode such as 0755, or a symbolic one such as u=rwX,go=rX.",
    "invalid-digest": "Write sha256: with 64 hexadecimal digits, in lower case, behind it.",
    "invalid-duration": "Write numbers with units, at least a millisecond: 5s, 1m30s, 500ms.",
    "invalid-escape-token": "Write # escape=\\ or # escape=`, without anything else.",
    "invalid-git-reference": "The keys are ref, branch, tag, commit, checksum, subdir, keep-git-dir, submodules, mtime "
    "(checkout or commit) and fetch-by-commit.",
    "invalid-health-check": "Write HEALTHCHECK CMD with a command, or HEALTHCHECK NONE.",
    "invalid-mount": "Which options a mount takes depends on its type; secrets and agents are named with id=.",
    "invalid-mount-target": "Write target= with an absolute path.",
    "invalid-platform": "Write os/architecture[/variant], such as linux/amd64 or linux/arm/v7.",
    "invalid-reference": "An image is [registry/]name[:tag] with the name in lower case; so are the names of stages.",
    "invalid-retries": "Write a number from 0.",
    "invalid-run-option": "type= stands before the options that depend on it; sizes are such as 64m, modes octal, "
    "networks default, none and host.",
    "invalid-stage-name": "Begin with a letter; letters, digits, '-', '_' and '.' may follow.",
    "invalid-trigger": "Write the one instruction that is to run in the image that is built on this one.",
    "json-not-strings": "Put every element of the array into double quotes.",
    "line-too-long": "Go on in another line behind a backslash, or put the text into a file.",
    "lint-violation": "Mend what the warnings show, or leave rules out with # check=skip=RULE.",
    "missing-equals-sign": "Write name=value; quote values that hold blanks, and give a comment a line of its own.",
    "missing-value": "Write name=value.",
    "mount-from-variable": "FROM takes variables: write FROM $image AS name above, and from=name here.",
    "no-instructions": "A Dockerfile begins with FROM.",
    "no-stages": "Write a FROM below the ARGs.",
    "remote-copy-source": "Use ADD, which downloads.",
    "shell-not-json": 'Write it as an array: SHELL ["/bin/sh", "-c"].',
    "stage-not-defined-yet": "Move the stage that is read above the one that reads it.",
    "unknown-instruction": "If the line belongs to the one above, that one has to end in a backslash.",
    "unknown-stage": "Stages are counted from 0 in the order of the file; a name is safer.",
    "variable-in-from": "FROM takes variables: write FROM $image AS name above, and --from=name here.",
}
# What the message holds, the first that does.
_BY_TEXT = {
    "invalid-flag": (
        ("duplicate flag", "Give the flag once."),
        ("boolean value", "Write true or false."),
        ("missing a value", "Write a value behind an equals sign."),
    ),
    "word-expansion": (
        ("matching", 'Close the quote. Paths with blanks need an array, such as ["a b", "/c"].'),
        ("missing '/'", "Write both slashes: ${name/pattern/text}."),
        ("missing '}'", "Close the brace."),
        ("invalid escape", "In a pattern a backslash stands before '*', '?', '/', '}' or itself."),
        ("bad substitution", "Write a name behind ${."),
        ("unsupported modifier", "The operators are :- - :+ + :? ? # ## % %% / and //, behind the name."),
        (": ", "Set the variable with ARG or ENV above, or give the build argument."),
    ),
    "wrong-argument-count": (
        ("FROM ", "Write FROM image, or FROM image AS name."),
        ("COPY ", "Write COPY source… destination."),
        ("ADD ", "Write ADD source… destination."),
        ("ENV ", "Write ENV name=value."),
        ("LABEL ", "Write LABEL name=value."),
        ("ARG ", "Write ARG name, or ARG name=default."),
        ("SHELL ", 'Write SHELL ["/bin/sh", "-c"].'),
        ("HEALTHCHECK ", "Write HEALTHCHECK CMD with a command, or HEALTHCHECK NONE."),
        ("ONBUILD ", "Write the instruction that is to run in the image that is built on this one."),
        ("", "Write what the instruction is to set behind it."),
    ),
}


def hint_for(code: str, message: str) -> str | None:
    """What to do about an error; None when nothing general can be said."""
    for text, hint in _BY_TEXT.get(code, ()):
        if text in message:
            return hint
    return _BY_CODE.get(code)
