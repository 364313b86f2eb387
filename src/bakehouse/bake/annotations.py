"""Annotations: `[types:]key=value` (reference bake.md §11). Also used by `build --annotation`."""

from __future__ import annotations

from bakehouse.errors import DefinitionError
from bakehouse.go.text import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

TYPES = frozenset({"index", "index-descriptor", "manifest", "manifest-descriptor"})
_TYPE_CHARS = frozenset("abcdefghijklmnopqrstuvwxyz-")
_PLATFORM_CHARS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_/-")


class Annotation:
    """One annotation of one object kind. `type` is "" for the manifest default; `platform` is "" for all, else in
    the form that containerd's parser leaves it in (`linux/arm64/v8`)."""

    __slots__ = ("key", "platform", "type", "value")

    def __init__(self, type: str, platform: str, key: str, value: str) -> None:
        self.type = type
        self.platform = platform
        self.key = key
        self.value = value


def _error(message: str, hint: str | None = None) -> DefinitionError:
    return DefinitionError(message, code="invalid-annotation", hint=hint)


def parse_annotations(texts: Iterable[str]) -> list[Annotation]:
    """Every annotation of the non-empty texts, in order. Raises `DefinitionError` (code `invalid-annotation`)."""
    return [annotation for text in texts if text for annotation in _parse(text)]


def _parse(text: str) -> list[Annotation]:
    head, equals, value = text.partition("=")
    if not equals:
        raise _error(f"invalid annotation {quote(text)}, expected key=value")
    types, colon, key = head.partition(":")
    if not colon:
        return [Annotation("", "", head, value)]
    return [Annotation(*_split_type(part), key, value) for part in types.split(",")]


def _split_type(text: str) -> tuple[str, str]:
    kind, bracket, platform = text.partition("[")
    bracketed = bracket and platform.endswith("]") and _PLATFORM_CHARS.issuperset(platform[:-1])
    if not kind or not _TYPE_CHARS.issuperset(kind) or (bracket and not (bracketed and len(platform) > 1)):
        raise _error(
            f"invalid annotation type {quote(text)}, expected type and optional platform in square brackets"
        )
    if kind not in TYPES:
        raise _error(f"unknown annotation type {quote(kind)}", hint=f"Use one of {', '.join(sorted(TYPES))}.")
    if not bracket:
        return kind, ""
    from bakehouse.oci.platform import Platform

    try:
        return kind, str(Platform.parse_exact(platform[:-1]))
    except DefinitionError as error:
        raise _error(f"invalid platform {quote(platform[:-1])}: {error.message}") from None
