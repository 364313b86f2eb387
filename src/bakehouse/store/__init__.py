"""What survives a build: content-addressed blobs, SQLite metadata, leases, image names, garbage collection.

Knows nothing of Dockerfiles, registries or mounts. Any number of processes share one store (`Store.open`).
"""

from bakehouse.store.blobs import BlobStore, BlobWriter
from bakehouse.store.cachekeys import CacheKeyStore
from bakehouse.store.database import Database
from bakehouse.store.gc import PrunePolicy, UsageRecord
from bakehouse.store.images import ImageStore
from bakehouse.store.kv import KeyValueStore
from bakehouse.store.store import Store

__all__ = [
    "BlobStore",
    "BlobWriter",
    "CacheKeyStore",
    "Database",
    "ImageStore",
    "KeyValueStore",
    "PrunePolicy",
    "Store",
    "UsageRecord",
]
