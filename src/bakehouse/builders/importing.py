"""Taking images in: a root file system tar, or an OCI or Docker image archive, into the local image store."""

from __future__ import annotations

import json
import os
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from bakehouse.builders.embedded import open_engine
from bakehouse.builders.settings import Settings
from bakehouse.engine.importer import import_rootfs, load_image
from bakehouse.errors import DefinitionError, NotFoundError
from bakehouse.oci.platform import Platform


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """`path` None means the stream of standard input; `name` may be empty for archives that carry names; `config` is
    what the image config's `config` member gets."""

    path: Path | None
    name: str
    platform: str = ""
    config: Mapping[str, object] = field(default_factory=dict)
