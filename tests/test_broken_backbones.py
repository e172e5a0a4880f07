"""Broken backbones, each of which the conformance suite must name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import pytest
import torch
from example_backbones import GATConfig, examples_registered, restored
from pydantic import Field
from torch import Tensor, nn

from anchorrec_graph.graph.hops import Hops
from anchorrec_graph.graph.relation import Relation
from anchorrec_graph.nn.backbone import BACKBONES, Backbone, BackboneConfig
from anchorrec_graph.testing import check_backbone


class ProbeConfig(BackboneConfig):
    name: Literal["probe"] = "probe"


class Sound(Backbone):
    """x + A x W, which breaks no rule."""

    def __init__(self, config: ProbeConfig, embedding_dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(embedding_dim, embedding_dim))

    def forward(self, x: Tensor, graph: Relation) -> Tensor:
        return x + graph(x) @ self.weight


class Reversed(Sound):
    def forward(self, x: Tensor, graph: Relation) -> Tensor:
        row, column = graph.edge_index.flip(0)
        return x + torch.zeros_like(x).index_add(0, column, graph.weight.unsqueeze(1) * x[row]) @ self.weight


class IgnoresDirection(Sound):
    def forward(self, x: Tensor, graph: Relation) -> Tensor:
        row, column = graph.edge_index.flip(0)
        back = Relation(column, row, graph.weight, graph.size)
        return x + (graph(x) + back(x)) @ self.weight


class DividesByDegree(Sound):
    def forward(self, x: Tensor, graph: Relation) -> Tensor:
        degree = torch.bincount(graph.edge_index[1], minlength=len(x)).unsqueeze(1)
        return x + graph(x) @ self.weight / degree


class NeedsEdges(Sound):
    def forward(self, x: Tensor, graph: Relation) -> Tensor:
        return x + graph(x) @ self.weight / graph.weight.max()


class Widens(Sound):
    def forward(self, x: Tensor, graph: Relation) -> Tensor:
        return torch.cat([x, graph(x)], dim=1)


class Float64(Sound):
    def forward(self, x: Tensor, graph: Relation) -> Tensor:
        return super().forward(x, graph).double()


class AlwaysDrops(Sound):
    def forward(self, x: Tensor, graph: Relation) -> Tensor:
        return super().forward(nn.functional.dropout(x, 0.5, training=True), graph)


class Detached(Sound):
    def forward(self, x: Tensor, graph: Relation) -> Tensor:
        return super().forward(x.detach(), graph)


class KnowsNumbers(Sound):
    def forward(self, x: Tensor, graph: Relation) -> Tensor:
        return super().forward(x, graph) + torch.arange(len(x)).unsqueeze(1)


class WritesInput(Sound):
    def forward(self, x: Tensor, graph: Relation) -> Tensor:
        return super().forward(x.data.mul_(1.5), graph)


class Unsaved(Sound):
    def __init__(self, config: ProbeConfig, embedding_dim: int) -> None:
        super().__init__(config, embedding_dim)
        self.register_buffer("mix", torch.randn(embedding_dim, embedding_dim), persistent=False)

    def forward(self, x: Tensor, graph: Relation) -> Tensor:
        return super().forward(x, graph) @ self.mix


class WrongParts(Sound):
    def row_parts(self, x: Tensor, graph: Relation, row: int) -> Tensor:
        _, terms = graph.terms(x, row)
        return torch.cat([x[row].unsqueeze(0), terms]) / 3


class OnePart(Sound):
    def row_parts(self, x: Tensor, graph: Relation, row: int) -> Tensor:
        return self(x, graph)[row].unsqueeze(0)


class TooFewHops(Sound):
    def num_hops(self) -> int:
        return 0


class OtherAlong(Sound):
    def num_hops(self) -> int:
        return 1

    def along(self, x: Tensor, hops: Hops) -> Tensor:
        return hops.kept(x)


class LossyConfig(ProbeConfig):
    layers: int = Field(default=1, exclude=True)


BROKEN_BACKBONES = [
    (Reversed, "source to destination"),
    (IgnoresDirection, "source to destination"),
    (DividesByDegree, "isolated nodes"),
    (NeedsEdges, "without edges"),
    (Widens, r"\[n, d\] to \[n, d\]"),
    (Float64, "float32"),
    (AlwaysDrops, "deterministic"),
    (Detached, "gradient"),
    (KnowsNumbers, "renumbering"),
    (WritesInput, "as they are"),
    (Unsaved, "state_dict"),
    (WrongParts, "row_parts sum"),
    (OnePart, "row_parts sum"),
    (TooFewHops, "num_hops lead"),
    (OtherAlong, "num_hops lead"),
]


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    with restored(BACKBONES):
        yield


def test_a_sound_backbone_passes() -> None:
    BACKBONES.register(ProbeConfig)(Sound)
    check_backbone(ProbeConfig())


@pytest.mark.parametrize(("backbone", "rule"), BROKEN_BACKBONES, ids=lambda v: getattr(v, "__name__", ""))
def test_broken_backbones_are_named(backbone: type[Backbone], rule: str) -> None:
    BACKBONES.register(ProbeConfig)(backbone)
    with pytest.raises(AssertionError, match=rf"^backbone 'probe' breaks the rule '.*{rule}.*': "):
        check_backbone(ProbeConfig())


def test_lossy_or_unregistered_settings_are_named() -> None:
    with pytest.raises(AssertionError, match="registered': it raised ValueError: unknown backbone 'probe'"):
        check_backbone(ProbeConfig())
    BACKBONES.register(LossyConfig)(Sound)
    check_backbone(LossyConfig())
    with pytest.raises(AssertionError, match="survive YAML"):
        check_backbone(LossyConfig(layers=2))


def test_examples_pass() -> None:
    with examples_registered():
        check_backbone(GATConfig())
