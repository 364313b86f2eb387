"""Descriptors, manifests, indexes and image configs: parsed once, raw bytes kept, encoded as BuildKit encodes.

Parsing is for untrusted bytes: sizes are limited and every member that is used is checked. OCI image-spec 1.1
(descriptor.md, manifest.md, image-index.md, config.md); byte forms as engine.md §17.2.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from bakehouse.errors import DefinitionError, IntegrityError
from bakehouse.go.jsontext import compact_json, indented_json
from bakehouse.oci.digest import Digest
from bakehouse.oci.media_types import (
    CONFIGS,
    DOCKER_CONFIG,
    DOCKER_INDEX,
    DOCKER_LAYER,
    DOCKER_LAYER_GZIP,
    DOCKER_LAYER_ZSTD,
    DOCKER_MANIFEST,
    INDEXES,
    MANIFESTS,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    OCI_LAYER_GZIP,
    OCI_LAYER_ZSTD,
    OCI_MANIFEST,
)
from bakehouse.oci.platform import Platform
from bakehouse.values import dataclass, field

#: The largest manifest or index that registries must accept and that we read.
MAX_MANIFEST_BYTES = 4 * 1024 * 1024
#: The largest image config that we read (BuildKit's limit for metadata blobs).
MAX_CONFIG_BYTES = 8 * 1024 * 1024

NO_ANNOTATIONS: Mapping[str, str] = MappingProxyType({})

#: Attestation manifests stand in an index under this pseudo platform and annotation.
ATTESTATION_TYPE_ANNOTATION = "vnd.docker.reference.type"
ATTESTATION_DIGEST_ANNOTATION = "vnd.docker.reference.digest"


def _broken(what: str, problem: str) -> IntegrityError:
    return IntegrityError(f"invalid {what}: {problem}", code="invalid-manifest")


def load_object(raw: bytes, what: str, limit: int) -> dict[str, object]:
    """The JSON object in `raw`. Raises `IntegrityError` (code `invalid-manifest`) for anything else, or when it is
    larger than `limit` bytes."""
    if len(raw) > limit:
        raise _broken(what, f"larger than {limit} bytes")
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise _broken(what, "not valid JSON") from error
    if not isinstance(value, dict):
        raise _broken(what, "expected a JSON object")
    return value


def _string(value: object, what: str, member: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _broken(what, f"{member} must be a string")
    return value


def _strings(value: object, what: str, member: str) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise _broken(what, f"{member} must map strings to strings")
    return dict(value)


def _list(value: object, what: str, member: str) -> list[object]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise _broken(what, f"{member} must be a list")
    return value


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A reference to a blob: what it is, its digest and its size in bytes."""

    media_type: str
    digest: Digest
    size: int
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    platform: Platform | None = None
    urls: tuple[str, ...] = ()
    artifact_type: str = ""
    data: bytes = field(default=b"", repr=False)

    @classmethod
    def of(
        cls,
        media_type: str,
        data: bytes,
        *,
        annotations: Mapping[str, str] = NO_ANNOTATIONS,
        platform: Platform | None = None,
    ) -> Descriptor:
        """The descriptor of the bytes `data`."""
        return cls(media_type, Digest.of(data), len(data), annotations, platform)

    @classmethod
    def from_json(cls, value: object, what: str = "descriptor") -> Descriptor:
        """Parses an OCI descriptor object. Raises `IntegrityError` (code `invalid-manifest`)."""
        if not isinstance(value, dict):
            raise _broken(what, "a descriptor must be an object")
        size = value.get("size")
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < 1 << 62:
            raise _broken(what, "a descriptor's size must be a number of bytes")
        try:
            digest = Digest(_string(value.get("digest"), what, "digest"))
            data = base64.b64decode(_string(value.get("data"), what, "data"), validate=True)
        except (DefinitionError, binascii.Error, ValueError) as error:
            raise _broken(what, f"descriptor: {error}") from error
        platform = value.get("platform")
        if platform is not None and not isinstance(platform, dict):
            raise _broken(what, "platform must be an object")
        return cls(
            _string(value.get("mediaType"), what, "mediaType"),
            digest,
            size,
            _strings(value.get("annotations"), what, "annotations") or NO_ANNOTATIONS,
            None if platform is None else Platform.from_config(platform),
            tuple(_string(url, what, "urls") for url in _list(value.get("urls"), what, "urls")),
            _string(value.get("artifactType"), what, "artifactType"),
            data,
        )

    def as_json(self) -> dict[str, object]:
        """The descriptor's members in Go's order, annotations sorted, empty ones left out."""
        out: dict[str, object] = {
            "mediaType": self.media_type,
            "digest": str(self.digest),
            "size": self.size,
        }
        if self.urls:
            out["urls"] = list(self.urls)
        if self.annotations:
            out["annotations"] = dict(sorted(self.annotations.items()))
        if self.data:
            out["data"] = base64.b64encode(self.data).decode("ascii")
        if self.platform is not None:
            out["platform"] = self.platform.as_json()
        if self.artifact_type:
            out["artifactType"] = self.artifact_type
        return out

    def verify(self, raw: bytes) -> bytes:
        """Returns `raw` when it is the blob meant; else raises `IntegrityError` (`size-mismatch`,
        `digest-mismatch`)."""
        if len(raw) != self.size:
            raise IntegrityError(
                f"blob {self.digest}: expected {self.size} bytes, got {len(raw)}", code="size-mismatch"
            )
        if not self.digest.verify(raw):
            raise IntegrityError(
                f"blob {self.digest}: the content has a different digest", code="digest-mismatch"
            )
        return raw

    @property
    def is_index(self) -> bool:
        return self.media_type in INDEXES

    @property
    def is_manifest(self) -> bool:
        return self.media_type in MANIFESTS

    @property
    def is_attestation(self) -> bool:
        """Whether this member of an index is an attestation manifest rather than an image."""
        return ATTESTATION_TYPE_ANNOTATION in self.annotations


def detect_media_type(raw: bytes) -> str:
    """The media type of a manifest or index, from its bytes alone (a stated one must fit the members).

    Raises `IntegrityError` (code `invalid-manifest`), also for bytes that could be read as both.
    """
    value = load_object(raw, "manifest", MAX_MANIFEST_BYTES)
    single = value.get("config") is not None or value.get("layers") is not None
    if single and value.get("manifests") is not None:
        raise _broken("manifest", "ambiguous: both an image manifest and an index")
    stated = value.get("mediaType")
    if stated in MANIFESTS | INDEXES:
        assert isinstance(stated, str)
        if (stated in MANIFESTS) != single:
            raise _broken("manifest", f"mediaType {stated} does not match the contents")
        return stated
    return DOCKER_MANIFEST if single else DOCKER_INDEX


def _check_schema(value: dict[str, object], what: str) -> None:
    if value.get("schemaVersion") != 2:
        raise _broken(what, f"schemaVersion must be 2, not {value.get('schemaVersion')!r}")


@dataclass(frozen=True, slots=True)
class Manifest:
    """An image manifest. `raw` are the very bytes that its digest covers."""

    raw: bytes = field(repr=False)
    media_type: str
    config: Descriptor
    layers: tuple[Descriptor, ...]
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    artifact_type: str = ""
    subject: Descriptor | None = None

    @classmethod
    def parse(cls, raw: bytes) -> Manifest:
        """Raises `IntegrityError` (code `invalid-manifest`)."""
        value = load_object(raw, "manifest", MAX_MANIFEST_BYTES)
        _check_schema(value, "manifest")
        if value.get("manifests") is not None:
            raise _broken("manifest", "it holds the member manifests of an index")
        subject = value.get("subject")
        return cls(
            raw,
            detect_media_type(raw),
            Descriptor.from_json(value.get("config"), "manifest"),
            tuple(
                Descriptor.from_json(item, "manifest")
                for item in _list(value.get("layers"), "manifest", "layers")
            ),
            _strings(value.get("annotations"), "manifest", "annotations") or NO_ANNOTATIONS,
            _string(value.get("artifactType"), "manifest", "artifactType"),
            None if subject is None else Descriptor.from_json(subject, "manifest"),
        )

    @classmethod
    def build(
        cls,
        config: Descriptor,
        layers: Sequence[Descriptor],
        *,
        media_type: str = OCI_MANIFEST,
        annotations: Mapping[str, str] = NO_ANNOTATIONS,
        artifact_type: str = "",
        subject: Descriptor | None = None,
    ) -> Manifest:
        """A new manifest with the bytes that BuildKit would write (`layers` of none is written as null)."""
        value: dict[str, object] = {"schemaVersion": 2, "mediaType": media_type}
        if artifact_type:
            value["artifactType"] = artifact_type
        value["config"] = config.as_json()
        value["layers"] = [layer.as_json() for layer in layers] or None
        if subject is not None:
            value["subject"] = subject.as_json()
        if annotations:
            value["annotations"] = dict(sorted(annotations.items()))
        raw = indented_json(value).encode()
        return cls(raw, media_type, config, tuple(layers), annotations, artifact_type, subject)

    def descriptor(
        self, *, annotations: Mapping[str, str] = NO_ANNOTATIONS, platform: Platform | None = None
    ) -> Descriptor:
        return Descriptor.of(self.media_type, self.raw, annotations=annotations, platform=platform)


@dataclass(frozen=True, slots=True)
class Index:
    """An image index (Docker: manifest list)."""

    raw: bytes = field(repr=False)
    media_type: str
    manifests: tuple[Descriptor, ...]
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)

    @classmethod
    def parse(cls, raw: bytes) -> Index:
        """Raises `IntegrityError` (code `invalid-manifest`)."""
        value = load_object(raw, "index", MAX_MANIFEST_BYTES)
        _check_schema(value, "index")
        if value.get("config") is not None or value.get("layers") is not None:
            raise _broken("index", "it holds the members config or layers of an image manifest")
        members = _list(value.get("manifests"), "index", "manifests")
        return cls(
            raw,
            detect_media_type(raw),
            tuple(Descriptor.from_json(item, "index") for item in members),
            _strings(value.get("annotations"), "index", "annotations") or NO_ANNOTATIONS,
        )

    @classmethod
    def build(
        cls,
        manifests: Sequence[Descriptor],
        *,
        media_type: str = OCI_INDEX,
        annotations: Mapping[str, str] = NO_ANNOTATIONS,
        indented: bool = True,
    ) -> Index:
        """A new index with the bytes that BuildKit would write; `indented=False` is the form of an archive's
        `index.json`."""
        value: dict[str, object] = {"schemaVersion": 2, "mediaType": media_type}
        value["manifests"] = [item.as_json() for item in manifests] or None
        if annotations:
            value["annotations"] = dict(sorted(annotations.items()))
        raw = (indented_json(value) if indented else compact_json(value)).encode()
        return cls(raw, media_type, tuple(manifests), annotations)

    def descriptor(self, *, annotations: Mapping[str, str] = NO_ANNOTATIONS) -> Descriptor:
        return Descriptor.of(self.media_type, self.raw, annotations=annotations)

    @property
    def images(self) -> tuple[Descriptor, ...]:
        """The members that are images: attestations and unknown platforms left out."""
        return tuple(
            member
            for member in self.manifests
            if not member.is_attestation
            and not (member.platform is not None and member.platform.os == "unknown")
        )


# The members of `config` in the order of Go's struct; those of map type are written sorted.
_CONFIG_MEMBERS = (
    "User",
    "ExposedPorts",
    "Env",
    "Entrypoint",
    "Cmd",
    "Volumes",
    "WorkingDir",
    "Labels",
    "StopSignal",
    "ArgsEscaped",
    "Healthcheck",
    "OnBuild",
    "Shell",
)
_CONFIG_MAPS = ("ExposedPorts", "Volumes", "Labels")
_HEALTH_MEMBERS = ("Test", "Interval", "Timeout", "StartPeriod", "StartInterval", "Retries")
_HISTORY_MEMBERS = ("created", "created_by", "author", "comment", "empty_layer")


def _in_order(value: Mapping[str, object], order: Sequence[str]) -> dict[str, object]:
    """`value` with the members named in `order` first; empty ones of these are left out as Go does."""
    out = {name: value[name] for name in order if value.get(name)}
    out.update((name, item) for name, item in value.items() if name not in order)
    return out


def _ordered_config(value: Mapping[str, object]) -> dict[str, object]:
    out = _in_order(value, _CONFIG_MEMBERS)
    for name in _CONFIG_MAPS:
        members = out.get(name)
        if isinstance(members, Mapping):
            out[name] = dict(sorted(members.items()))
    health = out.get("Healthcheck")
    if isinstance(health, Mapping):
        out["Healthcheck"] = _in_order(health, _HEALTH_MEMBERS)
    return out


def encode_history(history: Sequence[Mapping[str, object]]) -> list[dict[str, object]] | None:
    """History entries in Go's member order; None (JSON null) for none at all."""
    return [_in_order(entry, _HISTORY_MEMBERS) for entry in history] or None


def encode_config(value: Mapping[str, object]) -> bytes:
    """The bytes of an image config as BuildKit's exporter writes them: top-level members sorted, `config` and
    `history` in the order of Go's structs, maps sorted, compact, no final newline."""
    out: dict[str, object] = {}
    for name in sorted(value):
        item = value[name]
        if name == "config" and isinstance(item, Mapping):
            item = _ordered_config(item)
        elif name == "history" and isinstance(item, Sequence):
            item = encode_history(item)
        out[name] = item
    return compact_json(out).encode()


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """An image config. `value` is the whole JSON object, members that Bakehouse does not know included."""

    raw: bytes = field(repr=False)
    value: Mapping[str, object] = field(hash=False, repr=False)
    platform: Platform
    diff_ids: tuple[Digest, ...]

    @classmethod
    def parse(cls, raw: bytes) -> ImageConfig:
        """Raises `IntegrityError` (code `invalid-manifest`)."""
        value = load_object(raw, "image config", MAX_CONFIG_BYTES)
        rootfs = value.get("rootfs")
        diff_ids: list[object] = []
        if isinstance(rootfs, dict):
            diff_ids = _list(rootfs.get("diff_ids"), "image config", "rootfs.diff_ids")
        elif rootfs is not None:
            raise _broken("image config", "rootfs must be an object")
        try:
            digests = tuple(Digest(_string(item, "image config", "diff_ids")) for item in diff_ids)
        except DefinitionError as error:
            raise _broken("image config", f"rootfs.diff_ids: {error}") from error
        return cls(raw, MappingProxyType(value), Platform.from_config(value), digests)

    @property
    def settings(self) -> Mapping[str, object]:
        """The member `config`: user, environment, command and so on; empty when absent."""
        found = self.value.get("config")
        return found if isinstance(found, dict) else {}

    @property
    def history(self) -> list[dict[str, object]]:
        found = self.value.get("history")
        return [dict(entry) for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


__all__ = [
    "ATTESTATION_DIGEST_ANNOTATION",
    "ATTESTATION_TYPE_ANNOTATION",
    "CONFIGS",
    "DOCKER_CONFIG",
    "DOCKER_INDEX",
    "DOCKER_LAYER",
    "DOCKER_LAYER_GZIP",
    "DOCKER_LAYER_ZSTD",
    "DOCKER_MANIFEST",
    "INDEXES",
    "MANIFESTS",
    "MAX_CONFIG_BYTES",
    "MAX_MANIFEST_BYTES",
    "NO_ANNOTATIONS",
    "OCI_CONFIG",
    "OCI_INDEX",
    "OCI_LAYER",
    "OCI_LAYER_GZIP",
    "OCI_LAYER_ZSTD",
    "OCI_MANIFEST",
    "Descriptor",
    "ImageConfig",
    "Index",
    "Manifest",
    "detect_media_type",
    "encode_config",
    "encode_history",
    "load_object",
]
