"""Running without root: a user namespace of our own."""

from __future__ import annotations


def reexec_in_user_namespace() -> None:
    """Written below."""
