"""Layers: prepare, view, commit; overlayfs or plain copy; layer tar writing and applying; compression.

Knows nothing of registries, Dockerfiles or runtimes. A *layer* is a parent-independent difference, a *chain* a
stack of layers, lowest first. `LayerStore` is the way in; the tar and tree functions serve the exporters and ADD.
"""

from bakehouse.lazy import exports

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bakehouse.snapshots.active import Active
    from bakehouse.snapshots.chain import SCRATCH, LayerChain
    from bakehouse.snapshots.compression import Compression
    from bakehouse.snapshots.extract import ExtractResult, extract_tar
    from bakehouse.snapshots.layerstore import LayerBlob, LayerStore, LayerUsage, layer_id_of
    from bakehouse.snapshots.packed import PackedLayer
    from bakehouse.snapshots.tarformat import TarEntry
    from bakehouse.snapshots.tarreader import TarLimits, TarReader
    from bakehouse.snapshots.tarwriter import TarWriter
    from bakehouse.snapshots.trees import copy_tree, write_tree_tar

_HOMES = {
    "active": ("Active",),
    "chain": ("SCRATCH", "LayerChain"),
    "compression": ("Compression",),
    "extract": ("ExtractResult", "extract_tar"),
    "layerstore": ("LayerBlob", "LayerStore", "LayerUsage", "layer_id_of"),
    "packed": ("PackedLayer",),
    "tarformat": ("TarEntry",),
    "tarreader": ("TarLimits", "TarReader"),
    "tarwriter": ("TarWriter",),
    "trees": ("copy_tree", "write_tree_tar"),
}

__all__ = [
    "SCRATCH",
    "Active",
    "Compression",
    "ExtractResult",
    "LayerBlob",
    "LayerChain",
    "LayerStore",
    "LayerUsage",
    "PackedLayer",
    "TarEntry",
    "TarLimits",
    "TarReader",
    "TarWriter",
    "copy_tree",
    "extract_tar",
    "layer_id_of",
    "write_tree_tar",
]

__getattr__ = exports(__name__, _HOMES)
