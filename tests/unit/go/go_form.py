"""Our functions behind the requests that `answers.go` understands, and the reading of Go's recorded answers.

Recorded answers (`answers.json`) are Go's own, never ours: `record.py` asks Go for them again.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bakehouse.go import csvline, globs, jsontext, paths, tabwriter, text, timestamps, units, values

HERE = Path(__file__).parent


def question(op: str, *args: str | bytes, **numbers: int) -> dict[str, Any]:
    """A request; `numbers` are `Bits`, `Base`, `Ns`."""
    return {"Op": op, "Args": [_packed(arg) for arg in args], **numbers}


def recorded() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """(request, Go's answer) pairs."""
    return [(entry[0], entry[1]) for entry in json.loads((HERE / "answers.json").read_text(encoding="utf-8"))]


def _packed(value: str | bytes) -> str:
    data = value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")
    return base64.b64encode(data).decode("ascii")


def our_answer(request: dict[str, Any]) -> dict[str, Any]:
    """Our answer to a request, in Go's form."""
    args = [base64.b64decode(arg).decode("utf-8", "surrogateescape") for arg in request["Args"]]
    op = request["Op"]
    try:
        if op in _TEXTS:
            return _without_empty({"Text": _packed(_TEXTS[op](*args))})
        if op == "columns":
            aligned = tabwriter.align(args[0], padding=request["Bits"], tab_width=request["Base"])
            return _without_empty({"Text": _packed(aligned)})
        if op == "durationtext":
            return {"Text": _packed(units.format_duration(request["Ns"]))}
        if op == "csv":
            return {"Texts": [_packed(field) for field in csvline.split_csv(args[0])]}
        if op == "time":
            return _time(args[0])
        return {"Value": _value(op, args, request)}
    except ValueError as error:
        return {"Error": _packed("refused" if op == "time" else str(error))}


def _without_empty(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if value}


_TEXTS: dict[str, Callable[..., str]] = {
    "quote": text.quote,
    "lower": text.lower,
    "upper": text.upper,
    "trim": lambda given: given.strip(text.SPACES),
    "valid": text.replace_invalid,
    "clean": paths.clean_path,
    "join": paths.join_path,
    "base": paths.base_name,
    "dir": paths.parent_path,
    "json": lambda given: jsontext.compact_json({given: [given, None, True, 1 << 40]}),
    "jsonindent": lambda given: jsontext.indented_json({given: [given, [], {}]}),
}


def _value(op: str, args: list[str], request: dict[str, Any]) -> str:
    match op:
        case "match":
            return _lower(globs.match_path(*args))
        case "filematch":
            return _lower(globs.match_file_path(*args))
        case "bool":
            return _lower(values.parse_bool(args[0]))
        case "int":
            return str(values.parse_int(args[0], request["Bits"]))
        case "uint":
            return str(values.parse_uint(args[0], request["Base"], request["Bits"]))
        case "float":
            return values.parse_float(args[0]).hex()
        case "ram":
            return str(units.parse_ram_bytes(args[0]))
        case "ulimit":
            name, soft, hard = units.parse_ulimit(args[0])
            return f"{name}={soft}:{hard}"
        case "duration":
            return str(units.parse_duration(args[0]))
        case "distance":
            return str(text.edit_distance(*args))
    raise AssertionError(op)


def _lower(value: bool) -> str:
    return "true" if value else "false"


def _time(given: str) -> dict[str, Any]:
    time_ns = timestamps.parse_time_ns(given)
    seconds, nanoseconds = divmod(time_ns, 10**9)
    return {
        "Value": f"{seconds} {nanoseconds}",
        "Texts": [_packed(timestamps.normal_time(given)), _packed(timestamps.format_time_ns(time_ns))],
    }


def in_our_form(request: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    """Go's answer with floats as Python writes them: Go's text is the shortest that reads back the same."""
    if request["Op"] == "float" and "Value" in answer:
        return {"Value": float(answer["Value"].replace("Inf", "inf").replace("NaN", "nan")).hex()}
    return answer
