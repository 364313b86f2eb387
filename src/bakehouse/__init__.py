"""Bakehouse builds container images from Bake files and Dockerfiles, with no daemon.

The names of the public API are loaded on first use, so that `import bakehouse` costs nothing.
"""

from bakehouse.version import __version__

__all__ = ["__version__"]
