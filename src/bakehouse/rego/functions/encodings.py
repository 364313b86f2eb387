"""Documents as texts: JSON, YAML, base64, hexadecimal, queries of URLs."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, quote_plus, unquote_plus

from bakehouse.rego.functions.build import Builtin, FunctionFailed, record, text, texts
from bakehouse.rego.values import Boolean, Object, from_python, to_json, to_python, truth


def read_json(value: str) -> Any:
    """Raises ValueError."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        return from_python(json.loads(value, parse_constant=refuse))
    except RecursionError:
        raise ValueError("nested too deep") from None


def _read_yaml(value: str) -> Any:
    import yaml

    try:
        return from_python(_keyed_by_text(yaml.safe_load(value)))
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(str(error)) from None


def _keyed_by_text(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            str(key) if not isinstance(key, bool) else str(key).lower(): _keyed_by_text(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_keyed_by_text(item) for item in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return str(value)


def _write_yaml(value: Any) -> str:
    import yaml

    written: str = yaml.safe_dump(
        to_python(value), default_flow_style=False, sort_keys=True, allow_unicode=True
    )
    return written.removesuffix("...\n")


def _or_fail(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def call(value: Any) -> Any:
        try:
            return read(text(value))
        except (ValueError, UnicodeError):
            raise FunctionFailed from None

    return call


def _valid(read: Callable[[Any], Any]) -> Builtin:
    def call(value: Any) -> Boolean:
        try:
            read(text(value))
        except (ValueError, UnicodeError, FunctionFailed):
            return truth(False)
        return truth(True)

    return Builtin(1, call)


def _decoded(value: str) -> str:
    return base64.b64decode(re.sub(r"[\r\n]", "", value), validate=True).decode("utf-8", "replace")


def _decoded_url(value: str) -> str:
    padded = value + "=" * (-len(value) % 4)
    if re.search(r"[^A-Za-z0-9_=-]", padded):
        raise ValueError
    return base64.urlsafe_b64decode(padded).decode("utf-8", "replace")


def _query(values: Any) -> str:
    pairs = []
    for key, item in record(values).pairs():
        pairs += [f"{quote_plus(text(key))}={quote_plus(each)}" for each in texts(item)]
    return "&".join(pairs)


def _query_object(value: str) -> Object:
    out: dict[str, list[str]] = {}
    for key, item in parse_qsl(value, keep_blank_values=True):
        out.setdefault(key, []).append(item)
    return Object({key: tuple(items) for key, items in out.items()})


ENCODINGS: dict[str, Builtin] = {
    "json.marshal": Builtin(1, to_json),
    "json.unmarshal": Builtin(1, _or_fail(read_json)),
    "json.is_valid": _valid(read_json),
    "yaml.marshal": Builtin(1, _write_yaml),
    "yaml.unmarshal": Builtin(1, _or_fail(_read_yaml)),
    "yaml.is_valid": _valid(_read_yaml),
    "base64.encode": Builtin(1, lambda value: base64.b64encode(text(value).encode()).decode()),
    "base64.decode": Builtin(1, _or_fail(_decoded)),
    "base64.is_valid": _valid(_decoded),
    "base64url.encode": Builtin(1, lambda value: base64.urlsafe_b64encode(text(value).encode()).decode()),
    "base64url.encode_no_pad": Builtin(
        1, lambda value: base64.urlsafe_b64encode(text(value).encode()).decode().rstrip("=")
    ),
    "base64url.decode": Builtin(1, _or_fail(_decoded_url)),
    "hex.encode": Builtin(1, lambda value: text(value).encode().hex()),
    "hex.decode": Builtin(1, _or_fail(lambda value: bytes.fromhex(value).decode("utf-8", "replace"))),
    "urlquery.encode": Builtin(1, lambda value: quote_plus(text(value))),
    "urlquery.decode": Builtin(1, _or_fail(unquote_plus)),
    "urlquery.encode_object": Builtin(1, _query),
    "urlquery.decode_object": Builtin(1, _or_fail(_query_object)),
}
