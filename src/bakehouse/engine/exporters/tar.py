"""The `tar` exporter: the result's files as one plain tar (engine.md §17.4)."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, BinaryIO

from bakehouse.engine.exporters.attestation_files import ATTESTATION_MODE, attestation_files
from bakehouse.engine.exporters.filetree import check_platforms, parse_file_options, platform_directory
from bakehouse.engine.exporters.model import ExportResult, ExportSpec, start_vertex
from bakehouse.engine.exporters.output import check_file_destination, output_stream
from bakehouse.snapshots import write_tree_tar
from bakehouse.snapshots.tarformat import DIRECTORY, TarEntry
from bakehouse.snapshots.tarwriter import Source, TarWriter

if TYPE_CHECKING:
    from bakehouse.engine.tree import EngineContext
    from bakehouse.solver.model import Cancellation

_DIRECTORY_MODE = 0o755


class _ExportTar(TarWriter):
    """A tar whose members all get the time `epoch_ns`, when there is one; stops when the build is cancelled."""

    epoch_ns: int | None = None
    cancel: Cancellation | None = None

    def add_many(self, entries: Iterable[tuple[TarEntry, Source]]) -> None:
        super().add_many(self._checked(entries))

    def _checked(self, entries: Iterable[tuple[TarEntry, Source]]) -> Iterable[tuple[TarEntry, Source]]:
        for entry, source in entries:
            if self.cancel is not None:
                self.cancel.check()
            yield (entry if self.epoch_ns is None else entry._replace(mtime_ns=self.epoch_ns)), source


class TarExporter:
    """One tar; with a platform map each platform is a directory `os_arch[_variant]` in it."""

    name = "exporting to client tarball"
    reads_files = True
    takes_blobs = False

    def __init__(self, spec: ExportSpec) -> None:
        self._spec = spec
        self._options = parse_file_options(spec.attrs)
        check_file_destination(spec)

    def export(self, result: ExportResult, context: EngineContext, cancel: Cancellation) -> dict[str, str]:
        """Has no response keys of its own."""
        check_platforms(result)
        vertex = start_vertex(context.reporter, self._spec, self.name)
        try:
            with vertex.status("sending tarball"), output_stream(self._spec) as out:
                self._write(out, result, context, cancel)
        except BaseException as error:
            vertex.fail(str(error))
            raise
        vertex.done()
        return {}

    def _write(
        self, out: BinaryIO, result: ExportResult, context: EngineContext, cancel: Cancellation
    ) -> None:
        # Whole seconds, as everything that a build makes itself.
        now_ns = int(time.time()) * 1_000_000_000
        tar = _ExportTar(out)
        tar.cancel = cancel
        for item in sorted(result.platforms, key=lambda item: platform_directory(item.platform)):
            epoch_s = self._options.epoch_for(item.epoch_s)
            tar.epoch_ns = None if epoch_s is None else epoch_s * 1_000_000_000
            prefix = b""
            if result.multi_platform:
                prefix = platform_directory(item.platform).encode()
                entry = TarEntry(
                    path=prefix + b"/", type=DIRECTORY, mode=_DIRECTORY_MODE, mtime_ns=tar.epoch_ns or 0
                )
                tar.add_many([(entry, None)])
            if item.chain.layers:
                with context.layers.view(item.chain) as root:
                    write_tree_tar(root, tar, prefix=prefix)
                    attested = attestation_files(item, root, self._options, result, context)
            else:
                attested = attestation_files(item, None, self._options, result, context)
            for name, data in attested.items():
                path = (prefix + b"/" if prefix else b"") + name.encode("utf-8", "surrogateescape")
                entry = TarEntry(path=path, mode=ATTESTATION_MODE, size=len(data), mtime_ns=now_ns)
                tar.add_many([(entry, data)])
        tar.finish()
