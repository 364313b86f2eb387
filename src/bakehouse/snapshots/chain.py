"""A stack of layers."""

from __future__ import annotations

import hashlib

from bakehouse.values import dataclass


@dataclass(frozen=True, slots=True)
class LayerChain:
    """Layer ids, lowest first; `()` is scratch. Concatenation is BuildKit's merge, a slice its diff."""

    layers: tuple[str, ...] = ()

    def then(self, layer_id: str) -> LayerChain:
        """This chain with one more layer on top."""
        return LayerChain((*self.layers, layer_id))

    def __add__(self, other: LayerChain) -> LayerChain:
        return LayerChain(self.layers + other.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def __bool__(self) -> bool:
        return bool(self.layers)

    def below(self, index: int) -> LayerChain:
        """The part under layer number `index`."""
        return LayerChain(self.layers[:index])

    @property
    def key(self) -> str:
        """A name of this very stack that suits a file name: 32 hexadecimal digits."""
        return hashlib.sha256("\n".join(self.layers).encode()).hexdigest()[:32]


#: The empty tree.
SCRATCH = LayerChain()
