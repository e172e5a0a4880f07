"""`train.mode: sampled`: batches that travel over what they reach."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from example_backbones import restored
from tiny_runs import tiny_config
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from anchorrec_graph.config import Config
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.evaluate.evaluator import Evaluator
from anchorrec_graph.graph.graphs import SampledBatch
from anchorrec_graph.graph.relation import Relation
from anchorrec_graph.models.base import MODELS, Recommender, SampledRecommender, build_model
from anchorrec_graph.nn.backbone import BACKBONES, Backbone, BackboneConfig
from anchorrec_graph.train.fit import fit
from anchorrec_graph.train.gradient import add_gradient
from anchorrec_graph.train.history import read_history
from anchorrec_graph.train.trainer import Trainer
from anchorrec_graph.typing import Batch

SOFTMAX = {"name": "softmax", "temperature": 0.2, "num_negatives": 8}
PLAIN: dict[str, Any] = {"embedding_dim": 8, "loss": SOFTMAX}
MODELS_HERE: list[dict[str, Any]] = [
    {"name": "lightgcn", **PLAIN},
    {
        "name": "lightgcn",
        **PLAIN,
        "backbone": {"name": "lightgcn", "num_layers": 3},
        "popularity_weight": 1.0,
    },
    {"name": "lightgcn", **PLAIN, "backbone": {"name": "lightgcn", "num_layers": 0}},
    {"name": "anchorrec", **PLAIN},
    {"name": "anchorrec", **PLAIN, "num_knn_layers": 2, "backbone": {"name": "lightgcn", "num_layers": 1}},
    {"name": "anchorrec", **PLAIN, "num_knn_layers": 0, "score_views": ["text"], "loss": {"name": "bpr"}},
    {"name": "anchorrec", **PLAIN, "align": {"source": "feature"}, "recover_weight": 0.5, "fused": "text"},
    {"name": "anchorrec", **PLAIN, "trainable_features": True, "margin_weight": 0.1, "l2_weight": 0.1},
    {"name": "anchorrec", **PLAIN, "view_start": "feature"},
    {"name": "anchorrec", **PLAIN, "view_start": "gate"},
    {"name": "anchorrec", **PLAIN, "score_views": [], "backbone": {"name": "lightgcn", "num_layers": 0}},
    {"name": "anchorrec", **PLAIN, "num_knn_layers": 0, "view_start": "gate"},
]


def training(config: Config, data: HeteroData) -> Trainer:
    torch.manual_seed(0)
    model = build_model(config.model, data)
    return Trainer(model, data, config.train, Evaluator(config.evaluate, data), 0)


def sampled_config(tmp_path: Path, model: dict[str, Any], *overrides: str) -> Config:
    return tiny_config(tmp_path, f"model={model}", "train.mode=sampled", "train.batch_size=16", *overrides)


def in_whole(sampled: SampledBatch) -> Batch:
    """The same batch in row numbers of the whole tables."""
    users, items, batch = sampled.graphs.asked_users, sampled.graphs.asked_items, sampled.batch
    return Batch(users[batch.users], items[batch.positive_items], items[batch.negative_items])


def gradients(model: Recommender, batches: list[Any]) -> dict[str, Tensor]:
    model.zero_grad()
    add_gradient(model, batches)
    return {
        name: p.grad.to_dense() if p.grad.is_sparse else p.grad.clone()
        for name, p in model.named_parameters()
        if p.grad is not None
    }


def test_every_model_that_samples_is_tested_here() -> None:
    sampling = {name for name in MODELS if issubclass(MODELS[name], SampledRecommender)}
    assert sampling == {settings["name"] for settings in MODELS_HERE}


@pytest.mark.parametrize("model", MODELS_HERE)
def test_with_all_neighbours_it_is_the_loss_of_the_whole_graphs(
    tmp_path: Path, model: dict[str, Any]
) -> None:
    config = sampled_config(tmp_path, model, "train.num_neighbors=[-1]")
    data = config.dataset.load()
    trainer = training(config, data)
    for part in itertools.islice(trainer.batches(), 2):
        assert isinstance(part, SampledBatch)
        values = add_gradient(trainer.model, [part])
        expected = add_gradient(trainer.model, [in_whole(part)])
        assert values == pytest.approx(expected, rel=1e-5)
        ours, theirs = gradients(trainer.model, [part]), gradients(trainer.model, [in_whole(part)])
        assert ours.keys() == theirs.keys()
        for name, gradient in theirs.items():
            torch.testing.assert_close(ours[name], gradient, rtol=1e-4, atol=1e-6, msg=name)


class Residual(Backbone):
    """As a user would write it, who knows nothing of `Hops`."""

    def __init__(self, config: ResidualConfig, embedding_dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(embedding_dim, embedding_dim))

    def forward(self, x: Tensor, graph: Relation) -> Tensor:
        return x + torch.tanh(graph(graph(x) @ self.weight))

    def num_hops(self) -> int:
        return 2


class ResidualConfig(BackboneConfig):
    name: Literal["residual"] = "residual"


@pytest.mark.parametrize("name", ["lightgcn", "anchorrec"])
def test_a_backbone_of_ones_own_samples_if_it_says_its_hops(tmp_path: Path, name: str) -> None:
    with restored(BACKBONES):
        BACKBONES.register(ResidualConfig)(Residual)
        config = sampled_config(tmp_path, {"name": name, **PLAIN}, "train.num_neighbors=[-1]")
        data = config.dataset.load()
        model = config.model.model_copy(update={"backbone": ResidualConfig()})
        trainer = training(config.model_copy(update={"model": model}), data)
        part = next(trainer.batches())
        assert isinstance(part, SampledBatch)
        ours, theirs = gradients(trainer.model, [part]), gradients(trainer.model, [in_whole(part)])
    assert ours["backbone.weight"].any()
    for key, gradient in theirs.items():
        torch.testing.assert_close(ours[key], gradient, rtol=1e-4, atol=1e-6, msg=key)


@pytest.mark.parametrize("neighbours", ["[-1]", "[2, 1]"])
def test_features_on_disk_change_rounding_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, neighbours: str
) -> None:
    monkeypatch.setenv("ANCHORREC_CACHE", str(tmp_path / "cache"))
    losses, rows = [], []
    for on_disk in (False, True):
        model = {"name": "anchorrec", **PLAIN, "feature_dim": 6, "features_on_disk": on_disk}
        config = sampled_config(tmp_path, model, f"train.num_neighbors={neighbours}")
        trainer = training(config, config.dataset.load())
        losses.append(
            [add_gradient(trainer.model, [part]) for part in itertools.islice(trainer.batches(), 3)]
        )
        rows.append(trainer.model.encode())
    assert len(list((tmp_path / "cache/rows").iterdir())) == 1 + 3 + 3  # fused, reduced, pooled
    for ours, theirs in zip(*losses, strict=True):
        assert ours == pytest.approx(theirs, rel=2e-3)
        assert ours != theirs
    torch.testing.assert_close(rows[1].item, rows[0].item, rtol=2e-3, atol=5e-4)
    torch.testing.assert_close(rows[1].user, rows[0].user, rtol=2e-3, atol=5e-4)


@pytest.mark.parametrize("other", ["feature_dim: null", "trainable_features: true"])
def test_what_cannot_lie_on_disk(tmp_path: Path, other: str) -> None:
    with pytest.raises(ConfigError, match=r"features_on_disk is for reduced, frozen features"):
        tiny_config(tmp_path, f"model={{name: anchorrec, features_on_disk: true, {other}}}")


def test_a_batch_reaches_part_of_the_shop_only(tmp_path: Path) -> None:
    config = sampled_config(
        tmp_path, MODELS_HERE[3], "train.num_neighbors=[2, 1]", "train.batch_size=4",
        "dataset.num_users=200", "dataset.num_items=150",
    )  # fmt: skip
    part = next(training(config, config.dataset.load()).batches())
    assert isinstance(part, SampledBatch)
    graphs = part.graphs
    steps = [*graphs.user_item.steps, *(step for hops in graphs.item_graphs.values() for step in hops.steps)]
    relations = [step.relation for step in steps]
    for relation in (*relations, graphs.user_from_item):
        assert relation is not None
        rowptr, _, _ = relation.csr()
        assert int(rowptr.diff().max()) <= 2
    assert len(graphs.user_ids) < 100
    assert len(graphs.item_ids) < 120
    assert graphs.num_users == len(part.batch.users.unique()) == len(graphs.asked_users)
    assert graphs.user_item.steps[-1].relation.size[0] == graphs.num_users + len(graphs.asked_items)


def test_a_node_draws_for_its_nearest_hop(tmp_path: Path) -> None:
    """Items of the batch are one hop away from its items and two from its users: they draw for the first."""
    config = sampled_config(
        tmp_path, MODELS_HERE[0], "train.num_neighbors=[4, 1]", "dataset.interactions_per_user=20"
    )
    trainer = training(config, config.dataset.load())
    part = next(trainer.batches())
    assert isinstance(part, SampledBatch)
    users, items, batch = part.graphs.user_ids, part.graphs.item_ids, in_whole(part)
    degree = torch.bincount(trainer.edge_index[1], minlength=40).clamp(max=4)
    drawn = part.graphs.user_item.square(len(users) + len(items)).csr()[0].diff()
    assert drawn[: len(users)][torch.isin(users, batch.users)].eq(4).all()
    near = torch.isin(items, torch.cat([batch.positive_items, batch.negative_items]))
    assert drawn[len(users) :][near].equal(degree[items[near]])
    assert drawn[len(users) :][~near].max() <= 1


def test_the_mean_over_draws_is_the_whole_product(tmp_path: Path) -> None:
    """One hop of the id view, whose weights are scaled by what was not drawn."""
    layers = {"backbone": {"name": "lightgcn", "num_layers": 1}}
    config = sampled_config(tmp_path, {"name": "lightgcn", **PLAIN, **layers}, "train.num_neighbors=[2]")
    data = config.dataset.load()
    trainer = training(config, data)
    model = trainer.model
    assert isinstance(model, SampledRecommender)
    whole = model.propagated().user.detach()
    total, count = torch.zeros_like(whole), torch.zeros(len(whole), 1)
    for _ in range(150):
        for part in trainer.batches():
            assert isinstance(part, SampledBatch)
            ids = part.graphs.asked_users
            total[ids] += model.propagated_over(part.graphs).user.detach()
            count[ids] += 1
    seen = count.squeeze(1) > 300
    assert seen.any()
    error = (total / count - whole)[seen].norm() / whole[seen].norm()
    assert error < 0.05


@pytest.mark.parametrize("model", [MODELS_HERE[0], MODELS_HERE[3]])
def test_the_loss_falls_and_a_run_repeats_itself(tmp_path: Path, model: dict[str, Any]) -> None:
    config = sampled_config(tmp_path, model, "train.num_neighbors=[3, 2]", "train.epochs=6")
    data = config.dataset.load()
    losses = []
    for name in ("one", "two"):
        folder = fit(config, data, tmp_path / name).folder
        losses.append([record["loss"] for record in read_history(folder / "seed-0/history.jsonl")])
    assert losses[0] == losses[1]
    assert losses[0][-1] < losses[0][0]


def test_batches_of_a_step_travel_each_on_their_own(tmp_path: Path) -> None:
    config = sampled_config(tmp_path, MODELS_HERE[3])
    trainer = training(config, config.dataset.load())
    one, two = itertools.islice(trainer.batches(), 2)
    both, first, second = (gradients(trainer.model, part) for part in ([one, two], [one], [two]))
    for name, gradient in both.items():
        torch.testing.assert_close(gradient, (first[name] + second[name]) / 2, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"name": "anchorrec", "embedding_dim": 8}, "full_softmax.*bpr or softmax"),
        ({"name": "anchorrec", **PLAIN, "smooth_weight": 0.1}, "smooth_weight"),
        ({"name": "vbpr", "embedding_dim": 8}, "VBPR needs its whole graphs"),
    ],
)
def test_what_needs_the_whole_graphs_is_refused(tmp_path: Path, model: dict[str, Any], message: str) -> None:
    config = sampled_config(tmp_path, model)
    with pytest.raises(ConfigError, match=message):
        fit(config, config.dataset.load(), tmp_path / "run")


@pytest.mark.parametrize("numbers", ["[]", "[0]", "[-2, 3]"])
def test_numbers_of_neighbours_are_checked(tmp_path: Path, numbers: str) -> None:
    with pytest.raises(ConfigError, match=r"train\.num_neighbors"):
        sampled_config(tmp_path, MODELS_HERE[0], f"train.num_neighbors={numbers}")
