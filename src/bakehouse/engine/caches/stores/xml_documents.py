"""The few XML documents of storage services that a cache needs. Entities are refused, names count without namespace."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element


def xml_error(raw: bytes) -> tuple[str, str]:
    """Code and message of an error document; empty texts when it is none."""
    members = xml_members(raw, "Error")
    return members.get("Code", ""), members.get("Message", "")


def xml_members(raw: bytes, name: str) -> dict[str, str]:
    """The texts of the children of the first element called `name`, by their names; empty when there is none."""
    root = _parse(raw)
    for element in root.iter() if root is not None else ():
        if _local(element) == name:
            return {_local(child): child.text or "" for child in element}
    return {}


def root_name(raw: bytes) -> str:
    """The name of the root element; "" for what is no XML."""
    root = _parse(raw)
    return "" if root is None else _local(root)


def completed_upload(etags: list[str]) -> bytes:
    """The document that puts the parts of an upload together."""
    parts = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>{_escaped(etag)}</ETag></Part>"
        for number, etag in enumerate(etags, 1)
    )
    namespace = "http://s3.amazonaws.com/doc/2006-03-01/"
    return f'<CompleteMultipartUpload xmlns="{namespace}">{parts}</CompleteMultipartUpload>'.encode()


def _escaped(text: str) -> str:
    # The library's own function comes with an HTTP client.
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _parse(raw: bytes) -> Element | None:
    from xml.etree.ElementTree import ParseError, fromstring

    if b"<!DOCTYPE" in raw or b"<!ENTITY" in raw:
        return None
    try:
        return fromstring(raw)
    except ParseError:
        return None


def _local(element: Element) -> str:
    return element.tag.rpartition("}")[2]
