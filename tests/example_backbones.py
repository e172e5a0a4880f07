"""Backbones as a researcher would write them, for the conformance suite and both scatter paths."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor
from torch_geometric.nn import GATConv
from torch_geometric.utils import segment, softmax

from anchorrec_graph.graph.relation import Relation
from anchorrec_graph.nn.backbone import BACKBONES, Backbone, BackboneConfig
from anchorrec_graph.registry import Registry


@contextmanager
def restored(*registries: Registry[Any]) -> Iterator[None]:
    """What is registered inside is forgotten outside."""
    kept = [dict(registry._entries) for registry in registries]
    try:
        yield
    finally:
        for registry, entries in zip(registries, kept, strict=True):
            registry._entries = entries


class GATConfig(BackboneConfig):
    name: Literal["gat"] = "gat"
    heads: int = 2


class GAT(Backbone):
    """Graph attention (Velickovic et al., ICLR 2018) with a residual."""

    def __init__(self, config: GATConfig, embedding_dim: int) -> None:
        super().__init__()
        self.convolution = GATConv(embedding_dim, embedding_dim // config.heads, heads=config.heads)

    def forward(self, x: Tensor, graph: Relation) -> Tensor:
        return x + self.convolution(x, graph.edge_index)


class MaxPoolConfig(BackboneConfig):
    name: Literal["max_pool"] = "max_pool"


class MaxPool(Backbone):
    """Weighs neighbours by a softmax over each node's edges and takes the largest of each column."""

    def __init__(self, config: MaxPoolConfig, embedding_dim: int) -> None:
        super().__init__()
        self.score = torch.nn.Linear(embedding_dim, 1)

    def forward(self, x: Tensor, graph: Relation) -> Tensor:
        source, target = graph.edge_index  # sorted by target
        start = torch.bincount(target, minlength=len(x)).cumsum(0)
        pointer = torch.cat([start.new_zeros(1), start])
        share = softmax(self.score(x)[source].squeeze(1), ptr=pointer)
        return x + segment(share.unsqueeze(1) * x[source], pointer, reduce="max")


EXAMPLES: dict[type[BackboneConfig], type[Backbone]] = {GATConfig: GAT, MaxPoolConfig: MaxPool}


@contextmanager
def examples_registered() -> Iterator[None]:
    with restored(BACKBONES):
        for config_class, backbone in EXAMPLES.items():
            BACKBONES.register(config_class)(backbone)
        yield
