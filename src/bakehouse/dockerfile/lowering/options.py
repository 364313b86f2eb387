"""BuildKit's frontend options as a `LowerRequest`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bakehouse.dockerfile.lowering.request import LowerRequest


def parse_options(options: Mapping[str, str], **fields: Any) -> LowerRequest:
    raise NotImplementedError
