"""`Backbone`: how ID embeddings travel over the user-item graph, and LightGCN, the one given."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal, final

import torch
from pydantic import NonNegativeInt
from torch import Tensor, nn

from anchorrec_graph.errors import ConfigError
from anchorrec_graph.graph.hops import Hops
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

    def over(self, x: Tensor, graph: Relation | Hops) -> Tensor:
        """As `forward`; over `Hops` x [n, d] -> [asked, d], the rows of the nodes that these end at."""
        return self(x, graph) if isinstance(graph, Relation) else self.along(x, graph)

    def along(self, x: Tensor, hops: Hops) -> Tensor:
        """`over` hops, as many as `num_hops` says. A subclass may leave out what no later step reads."""
        return hops.kept(self(x, hops.square(len(x))))

    def num_hops(self) -> int:
        """How many steps away the nodes are that a node of the output is made of.

        Raises:
            ConfigError: the backbone does not say.
        """
        raise ConfigError(
            f"backbone {type(self).__name__} does not say how far it reads (Backbone.num_hops), which "
            "train.mode 'sampled' needs; take 'full'"
        )

    def row_parts(self, x: Tensor, graph: Relation, row: int) -> Tensor:  # noqa: ARG002
        """What a row of the output is the sum of, if it is linear in what neighbours send: [1 + k, d].

        First what is the node's own, then what the last step brings from each of its k other neighbours,
        in ascending order. For explanations only; training does not need it.

        Raises:
            ConfigError: the backbone has no such parts.
        """
        raise ConfigError(
            f"backbone {type(self).__name__} does not say what each neighbour adds to a node (row_parts)"
        )

    def sent(self, x: Tensor, graph: Relation) -> Tensor:  # noqa: ARG002
        r"""What every node sends, over all steps: a node r that the graph does not have, with zero for an
        input, would get :math:`\sum_j w_{rj} \cdot \mathrm{sent}_j` from neighbours j. [n, d] -> [n, d].

        For serving only; training does not need it.

        Raises:
            ConfigError: a node is no such sum.
        """
        raise ConfigError(
            f"backbone {type(self).__name__} does not say what nodes send to a new one (Backbone.sent)"
        )


BACKBONES: Registry[type[Backbone]] = Registry("backbone")


class LightGCNBackboneConfig(BackboneConfig):
    name: Literal["lightgcn"] = "lightgcn"
    num_layers: NonNegativeInt = 2


@final
@BACKBONES.register(LightGCNBackboneConfig)
class LightGCNBackbone(Backbone):
    r"""LightGCN (He et al., SIGIR 2020): :math:`\frac{1}{L+1} \sum_{l=0}^{L} \hat{A}^l X`.

    Added up from inside, :math:`X + \hat{A} (X + \hat{A} X)`, which holds one table less than term by term.
    """

    def __init__(self, config: LightGCNBackboneConfig, embedding_dim: int) -> None:  # noqa: ARG002
        super().__init__()
        self.num_layers = config.num_layers

    def forward(self, x: Tensor, graph: Relation) -> Tensor:
        return self.along(x, Hops.whole(graph, self.num_layers))

    def along(self, x: Tensor, hops: Hops) -> Tensor:
        total = x = hops.begin(x)
        for step in hops.steps:
            x = step.kept(x)
            total = step.relation(total).add_(x)
        return total / (self.num_layers + 1)

    def num_hops(self) -> int:
        return self.num_layers

    def row_parts(self, x: Tensor, graph: Relation, row: int) -> Tensor:
        r""":math:`x_r` and :math:`\hat{A}_{rj} \sum_{l<L} (\hat{A}^l X)_j`, each over L + 1.

        What comes over a self-loop is the node's own.
        """
        neighbour, terms = graph.terms(self.sent(x, graph), row)
        itself = neighbour == row
        own = x[row] / (self.num_layers + 1) + terms[itself].sum(0)
        return torch.cat([own.unsqueeze(0), terms[~itself]])

    def sent(self, x: Tensor, graph: Relation) -> Tensor:
        r""":math:`\frac{1}{L+1} \sum_{l<L} \hat{A}^l X`."""
        total = torch.zeros_like(x)
        for _ in range(self.num_layers):
            total, x = total + x, graph(x)
        return total / (self.num_layers + 1)


def build_backbone(config: BackboneConfig, embedding_dim: int) -> Backbone:
    """The registered backbone that `config` names."""
    return BACKBONES[config.name](config, embedding_dim)
