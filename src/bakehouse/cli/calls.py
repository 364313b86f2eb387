"""The answers to `--call` and `--check` on standard output, as buildx prints them (bake.md §22)."""

from __future__ import annotations

from collections.abc import Mapping

from bakehouse.bake import CallOption, Resolved
from bakehouse.bake.printing import group_as_json, target_as_json
from bakehouse.builders.calls import shown_dockerfile
from bakehouse.cli.stdout import emit
from bakehouse.dockerfile.requests.answer import Answer
from bakehouse.dockerfile.requests.convertllb import ConvertedGraph
from bakehouse.dockerfile.requests.lint import LintResult
from bakehouse.errors import BakehouseError
from bakehouse.go.jsontext import indented_json
from bakehouse.go.text import quote

_NOTHING_FOUND = "Check complete, no warnings found.\n"


def print_answer(answer: Answer, call: CallOption, shown_name: str) -> int:
    """Prints the answer about a single target; returns the exit code. `shown_name` is what the user calls the
    Dockerfile. Raises the error that ended a lint, after what was found before it."""
    if isinstance(answer, LintResult):
        answer = answer.named(shown_name)
    emit(_shown(answer, call))
    if isinstance(answer, LintResult) and answer.error is not None:
        if call.format != "json" and answer.warnings:
            emit("\n")
        raise _with_excerpt(answer, answer.error)
    return _status(answer, call)


def print_answers(
    answers: Mapping[str, Answer], calls: Mapping[str, str], flag: CallOption | None, resolved: Resolved
) -> int:
    """Prints the answers about the targets of a `bake`, sorted by name; returns the exit code. `flag` is `--call`,
    which alone decides the format and whether what was found counts."""
    code = 0
    texts, documents = [], {}
    for name in sorted(answers, key=_bytes):
        answer = answers[name]
        call = CallOption(calls[name], flag.format if flag else "", bool(flag and flag.ignore_status))
        if isinstance(answer, LintResult):
            answer = answer.named(shown_dockerfile(resolved.targets[name]))
        code = code or _code(answer, call)
        if call.format == "json":
            documents[name] = _document(answer, calls[name])
        else:
            texts.append(_section(name, resolved.targets[name].description or "", answer, call))
    if flag is not None and flag.format == "json":
        emit(indented_json(_whole_document(documents, calls, resolved)) + "\n")
    else:
        emit("\n".join(texts))
    return code


def _shown(answer: Answer, call: CallOption) -> str:
    """An answer without the error that a lint may end with."""
    if call.format == "json":
        return indented_json(answer.as_json()) + "\n"
    if isinstance(answer, ConvertedGraph):
        return f"{_described(call)} {answer.as_text()}"
    if not isinstance(answer, LintResult):
        return answer.as_text()
    if not answer.warnings:
        return _NOTHING_FOUND if answer.error is None else ""
    count = len(answer.warnings)
    found = "1 warning has" if count == 1 else f"{count} warnings have"
    return f"Check complete, {found} been found!\n{answer.as_text()}"


def _described(call: CallOption) -> str:
    """A call as buildx shows it before an answer that it has no form for."""
    shown = [f"Name:{quote(call.name)}", f"Format:{quote(call.format)}" if call.format else ""]
    return " ".join(part for part in (*shown, "IgnoreStatus:true" if call.ignore_status else "") if part)


def _status(answer: Answer, call: CallOption) -> int:
    return answer.status if isinstance(answer, LintResult) and not call.ignore_status else 0


def _code(answer: Answer, call: CallOption) -> int:
    """The exit code that an answer asks for. That a Dockerfile cannot be built is never ignored."""
    failed = isinstance(answer, LintResult) and answer.error is not None
    return 1 if failed else _status(answer, call)


def _with_excerpt(answer: LintResult, error: BakehouseError) -> BakehouseError:
    """The error of a lint as one of the command."""
    error.excerpt = answer.excerpt(error.source_lines).removesuffix("\n") or error.excerpt
    error.during = ""
    return error


def _section(name: str, description: str, answer: Answer, call: CallOption) -> str:
    head = f"{name}\n{description}\n" if description else f"{name}\n"
    text = _shown(answer, call)
    if isinstance(answer, LintResult) and answer.error is not None:
        text += ("\n" if answer.warnings else "") + f"error: {answer.error_as_text()}\n"
    return f"{head}\n{text}"


def _document(answer: Answer, method: str) -> dict[str, object]:
    value = answer.as_json()
    if not isinstance(value, dict):
        return {method: value}
    if isinstance(answer, LintResult) and answer.error is not None:
        value = {**value, "error": answer.error_as_text()}
    return {key: value[key] for key in sorted(value)}


def _whole_document(
    documents: Mapping[str, object], calls: Mapping[str, str], resolved: Resolved
) -> dict[str, object]:
    out: dict[str, object] = {}
    if resolved.groups:
        out["group"] = {name: group_as_json(resolved.groups[name]) for name in sorted(resolved.groups)}
    targets: dict[str, object] = {}
    for name in sorted(resolved.targets, key=_bytes):
        members: dict[str, object] = {"build": target_as_json(resolved.targets[name])}
        if name in documents:
            members["check" if calls[name] == "lint" else calls[name]] = documents[name]
        targets[name] = {key: members[key] for key in sorted(members)}
    out["target"] = targets
    return out


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
