"""`Backbone`: how ID embeddings travel over the user-item graph, and LightGCN, the one given."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

from pydantic import NonNegativeInt
from torch import Tensor, nn

from anchorrec_graph.graph.relation import Relation
from anchorrec_graph.registry import Registry
from anchorrec_graph.settings import Settings


class BackboneConfig(Settings):
    """Settings of a backbone. Subclasses give `name` a literal default and register it."""

    name: str


class Backbone(nn.Module, ABC):
    """Maps node embeddings [n, d] to node embeddings [n, d] over a square `Relation`.

    A subclass is built as `cls(config, embedding_dim)`. Any PyG convolution
    fits through `graph.edge_index`; `graph(x)` is the normalised sparse product.
    """

    @abstractmethod
    def forward(self, x: Tensor, graph: Relation) -> Tensor:
        """x [n, d] -> [n, d]."""


BACKBONES: Registry[type[Backbone]] = Registry("backbone")


class LightGCNBackboneConfig(BackboneConfig):
    name: Literal["lightgcn"] = "lightgcn"
    num_layers: NonNegativeInt = 2


@BACKBONES.register(LightGCNBackboneConfig)
class LightGCNBackbone(Backbone):
    r"""LightGCN (He et al., SIGIR 2020): :math:`\frac{1}{L+1} \sum_{l=0}^{L} \hat{A}^l X`."""

    def __init__(self, config: LightGCNBackboneConfig, embedding_dim: int) -> None:  # noqa: ARG002
        super().__init__()
        self.num_layers = config.num_layers

    def forward(self, x: Tensor, graph: Relation) -> Tensor:
        total = x
        for _ in range(self.num_layers):
            x = graph(x)
            total = total + x
        return total / (self.num_layers + 1)


def build_backbone(config: BackboneConfig, embedding_dim: int) -> Backbone:
    """The registered backbone that `config` names."""
    return BACKBONES[config.name](config, embedding_dim)
