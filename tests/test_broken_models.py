"""Broken models, each of which the conformance suite must name."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, Literal

import pytest
import torch
from example_backbones import restored
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from anchorrec_graph.data.base import INTERACTS
from anchorrec_graph.graph.bipartite import bipartite_relation, train_graph
from anchorrec_graph.losses.ranking import bpr
from anchorrec_graph.models.base import (
    MODELS,
    ModelConfig,
    Propagated,
    PropagatingRecommender,
    Recommender,
)
from anchorrec_graph.testing import check_model, tiny_data
from anchorrec_graph.typing import Batch, Embeddings, View


class FactorsConfig(ModelConfig):
    name: Literal["factors"] = "factors"
    embedding_dim: int = 4


class Factors(Recommender):
    """Matrix factorisation with one hop, which breaks no rule."""

    def __init__(self, config: FactorsConfig, data: HeteroData) -> None:
        super().__init__()
        self.edges, self.num_users, self.num_items = train_graph(data)
        self.graph = bipartite_relation(self.edges, self.num_users, self.num_items)
        self.x = nn.Parameter(torch.randn(self.num_users + self.num_items, config.embedding_dim))

    def parts(self) -> tuple[Tensor, Tensor]:
        return self.x, self.graph(self.x)

    def encode(self) -> Embeddings:
        x, y = self.parts()
        sizes = [self.num_users, self.num_items]
        views = {"x": View(*x.split(sizes)), "y": View(*y.split(sizes))}
        user, item = (x + y).split(sizes)
        return Embeddings(user, item, views)

    def loss_terms(self, batch: Batch) -> dict[str, Tensor]:
        user, item, _ = self.encode()
        return {"bpr": bpr(*(t[i] for t, i in zip((user, item, item), batch, strict=True)))}


class Leaky(Factors):
    def __init__(self, config: FactorsConfig, data: HeteroData) -> None:
        super().__init__(config, data)
        edges = torch.cat([self.edges, data[INTERACTS].test_edge_label_index], dim=1)
        self.graph = bipartite_relation(edges, self.num_users, self.num_items)


class CountsHeldOut(Factors):
    def __init__(self, config: FactorsConfig, data: HeteroData) -> None:
        super().__init__(config, data)
        popular = torch.bincount(data[INTERACTS].val_edge_label_index[1], minlength=self.num_items)
        with torch.no_grad():
            self.x[self.num_users :] += popular.unsqueeze(1)


class ForgetsView(Factors):
    def encode(self) -> Embeddings:
        user, item, views = super().encode()
        return Embeddings(user, item, {"x": views["x"]})


class MeanOverDegree(Factors):
    def parts(self) -> tuple[Tensor, Tensor]:
        degree = torch.bincount(self.graph.edge_index[0], minlength=len(self.x)).unsqueeze(1)
        return self.x, self.graph(self.x) / degree


class UnalignedWidths(Factors):
    def encode(self) -> Embeddings:
        user, item, views = super().encode()
        return Embeddings(user[:, :2], item, views)


class RanksByOtherRows(Factors):
    def final(self) -> Embeddings:
        user, item, _ = self.encode()
        return Embeddings(user, 2 * item, {})


class Untrained(Factors):
    def __init__(self, config: FactorsConfig, data: HeteroData) -> None:
        super().__init__(config, data)
        self.bonus = nn.Parameter(torch.randn(config.embedding_dim))

    def parts(self) -> tuple[Tensor, Tensor]:
        return self.x, self.graph(self.x) + (self.bonus if not self.training else 0)


class Unseeded(Factors):
    def __init__(self, config: FactorsConfig, data: HeteroData) -> None:
        super().__init__(config, data)
        generator = torch.Generator()
        generator.seed()
        self.x = nn.Parameter(torch.randn(self.x.shape, generator=generator))


class DropsInEvaluation(Factors):
    def parts(self) -> tuple[Tensor, Tensor]:
        return self.x, nn.functional.dropout(self.graph(self.x), 0.5, training=True)


class NonPersistent(Factors):
    def __init__(self, config: FactorsConfig, data: HeteroData) -> None:
        super().__init__(config, data)
        self.register_buffer("mix", torch.randn(config.embedding_dim, config.embedding_dim), persistent=False)

    def parts(self) -> tuple[Tensor, Tensor]:
        return self.x, self.graph(self.x) @ self.mix


class TrainsOnTheData(Factors):
    def __init__(self, config: FactorsConfig, data: HeteroData) -> None:
        super().__init__(config, data)
        self.features = nn.Parameter(data["item"]["image"])  # shares the storage
        self.project = nn.Linear(self.features.shape[1], config.embedding_dim)

    def parts(self) -> tuple[Tensor, Tensor]:
        item = self.project(self.features)
        return self.x, torch.cat([torch.zeros(self.num_users, item.shape[1]), item])


class NormalisesFeatures(Factors):
    def __init__(self, config: FactorsConfig, data: HeteroData) -> None:
        super().__init__(config, data)
        rows = data["item"]["image"] / data["item"]["image"].norm(dim=1, keepdim=True)
        self.register_buffer("features", rows[:, : config.embedding_dim], persistent=False)

    def parts(self) -> tuple[Tensor, Tensor]:
        return self.x, torch.cat([torch.zeros(self.num_users, self.features.shape[1]), self.features])


class Climbs(Factors):
    def encode(self) -> Embeddings:
        user, item, views = super().encode()
        if item.requires_grad:
            user, item = user.detach(), item.clone()
            item.register_hook(lambda gradient: -gradient)
        return Embeddings(user, item, views)


class VectorLoss(Factors):
    def loss_terms(self, batch: Batch) -> dict[str, Tensor]:
        return {"all": self.encode().user[batch.users].sum(1)}


class NaNLoss(Factors):
    def loss_terms(self, batch: Batch) -> dict[str, Tensor]:
        return {name: term * torch.nan for name, term in super().loss_terms(batch).items()}


class NoLoss(Factors):
    def loss_terms(self, batch: Batch) -> dict[str, Tensor]:
        return {}


class Shares(Factors):
    """A deepcopy that is not one."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Shares:
        return self


class WrongWeights(Factors):
    def user_parts(self, user: int, items: Tensor) -> dict[str, Tensor]:
        sent = self.x[self.num_users + items] / len(self.x)
        own = nn.functional.pad(self.x[user].unsqueeze(0), (0, 0, 0, len(items)))
        return {"x": own, "y": nn.functional.pad(sent, (0, 0, 1, 0))}


class ForgetsPart(Factors):
    def user_parts(self, user: int, items: Tensor) -> dict[str, Tensor]:
        return {"x": nn.functional.pad(self.x[user].unsqueeze(0), (0, 0, 0, len(items)))}


class SumsParts(Factors):
    def user_parts(self, user: int, items: Tensor) -> dict[str, Tensor]:
        return {name: part[user].unsqueeze(0) for name, part in zip("xy", self.parts(), strict=True)}


class LosesGradient(Factors, PropagatingRecommender):
    def propagated(self) -> Propagated:
        user, item, _ = self.encode()
        return Propagated(user.detach(), item, {})

    def batch_terms(self, propagated: Propagated, batch: Batch) -> dict[str, Tensor]:
        user, item, _ = propagated
        return {"bpr": bpr(*(t[i] for t, i in zip((user, item, item), batch, strict=True)))}


BROKEN_MODELS = [
    (LosesGradient, "share a propagation"),
    (WrongWeights, "user_parts sum"),
    (ForgetsPart, "user_parts sum"),
    (SumsParts, "user_parts sum"),
    (Leaky, "held-out edges"),
    (CountsHeldOut, "held-out edges"),
    (ForgetsView, "views sum"),
    (MeanOverDegree, "finite"),
    (UnalignedWidths, "encode returns"),
    (Untrained, "gets a gradient"),
    (Unseeded, "same seed"),
    (DropsInEvaluation, "the same twice"),
    (RanksByOtherRows, "final is encode"),
    (NonPersistent, "state_dict"),
    (TrainsOnTheData, "leaves the data"),
    (NormalisesFeatures, "finite"),
    (Climbs, "lower the loss"),
    (VectorLoss, "finite scalars"),
    (NaNLoss, "finite scalars"),
    (NoLoss, "finite scalars"),
    (Shares, "deepcopy"),
]


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    with restored(MODELS):
        yield


def test_a_sound_model_passes_and_changes_no_random_state_or_data() -> None:
    MODELS.register(FactorsConfig)(Factors)
    data = tiny_data()
    kept = torch.get_rng_state(), copy.deepcopy(data)
    check_model(FactorsConfig(), data)
    assert torch.equal(torch.get_rng_state(), kept[0])
    assert torch.equal(data["item"]["image"], kept[1]["item"]["image"])
    for name in ("edge_index", "val_edge_label_index", "test_edge_label_index"):
        assert torch.equal(data[INTERACTS][name], kept[1][INTERACTS][name])


@pytest.mark.parametrize(("model", "rule"), BROKEN_MODELS, ids=lambda v: getattr(v, "__name__", ""))
def test_broken_models_are_named(model: type[Recommender], rule: str) -> None:
    MODELS.register(FactorsConfig)(model)
    with pytest.raises(AssertionError, match=rf"^model 'factors' breaks the rule '.*{rule}.*': "):
        check_model(FactorsConfig())
