"""Image look-ups, each made once a lowering however many stages and platforms ask for it."""

from __future__ import annotations

from threading import Lock

from bakehouse.dockerfile.lowering.request import MetaResolver
from bakehouse.errors import BakehouseError
from bakehouse.oci.platform import Platform
from bakehouse.values import dataclass, field


@dataclass(slots=True)
class _Lookup:
    lock: Lock = field(default_factory=Lock)
    answer: tuple[str, str, bytes] | None = None
    error: BakehouseError | None = None


class CachingResolver:
    """A `MetaResolver` that asks another one. Equal questions get one answer, or one error; who asks while the answer
    is under way waits for it. Thread-safe."""

    def __init__(self, resolver: MetaResolver) -> None:
        self._resolver = resolver
        self._lock = Lock()
        self._lookups: dict[tuple[str, Platform | None, str, str, str], _Lookup] = {}

    def resolve_image_config(
        self, ref: str, platform: Platform | None, mode: str, *, log_name: str = "", oci_store: str = ""
    ) -> tuple[str, str, bytes]:
        """As `MetaResolver.resolve_image_config`."""
        with self._lock:
            lookup = self._lookups.setdefault((ref, platform, mode, log_name, oci_store), _Lookup())
        with lookup.lock:
            if lookup.error is not None:
                raise lookup.error
            if lookup.answer is None:
                try:
                    lookup.answer = self._resolver.resolve_image_config(
                        ref, platform, mode, log_name=log_name, oci_store=oci_store
                    )
                except BakehouseError as error:
                    lookup.error = error
                    raise
            return lookup.answer
