"""Between the platform of an op (`LlbPlatform`, as it stands on the wire) and `oci.platform.Platform`."""

from __future__ import annotations

from bakehouse.llb.ops import LlbPlatform
from bakehouse.oci.platform import Platform


def to_llb(platform: Platform) -> LlbPlatform:
    """The same platform as an op states it; nothing is normalised."""
    return LlbPlatform(
        platform.os, platform.architecture, platform.variant, platform.os_version, platform.os_features
    )


def from_llb(platform: LlbPlatform) -> Platform:
    """The inverse of `to_llb`."""
    return Platform(
        platform.os, platform.architecture, platform.variant, platform.os_version, platform.os_features
    )


def normalized(platform: LlbPlatform) -> LlbPlatform:
    """The normal form, as states keep it (`linux/arm64/v8` → `linux/arm64`)."""
    return to_llb(from_llb(platform).normalized())


def local_platform() -> LlbPlatform:
    """The platform of this machine."""
    return to_llb(Platform.local())
