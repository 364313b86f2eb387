"""Package URLs of images (`pkg:docker/library@tag?platform=linux%2Famd64`), written as BuildKit writes them."""

from __future__ import annotations

from urllib.parse import quote, quote_plus

from bakehouse.oci.platform import Platform
from bakehouse.oci.reference import Reference

#: What Go's `url.PathEscape` leaves as it is, besides letters, digits and `_.-~`.
_PATH_SAFE = "$&+=:@"


def image_purl(ref: str, platform: Platform | None, *, kind: str = "docker") -> str:
    """The package URL of the image `ref`; `kind` is `oci` for one that is in no registry. Raises `DefinitionError`."""
    parsed = Reference.parse(ref)
    qualifiers = {}
    if parsed.digest:
        qualifiers["digest"] = str(parsed.digest)
    if platform is not None:
        qualifiers["platform"] = str(platform.normalized())
    name = "/".join(quote_plus(part) for part in parsed.familiar_name.split("/"))
    version = f"@{_escaped(parsed.tag)}" if parsed.tag else ""
    query = "&".join(f"{key}={_escaped(value)}" for key, value in qualifiers.items())
    return f"pkg:{kind}/{name}{version}" + (f"?{query}" if query else "")


def _escaped(text: str) -> str:
    return quote(text, safe=_PATH_SAFE)
