"""The version, in a module of its own so that `bakehouse version` reads no package metadata (30 ms)."""

__version__ = "0.1.0"
