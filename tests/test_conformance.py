"""The conformance suite over everything that is registered, and a test that everything is."""

from __future__ import annotations

import gc
import importlib
import inspect
import pkgutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch_geometric.data import HeteroData

import anchorrec_graph
from anchorrec_graph.data import mmrec, movielens, planted, prepared
from anchorrec_graph.data.base import DATASETS, INTERACTS, DatasetConfig
from anchorrec_graph.data.raw import Interactions
from anchorrec_graph.data.split import SPLITS, SplitConfig
from anchorrec_graph.losses.ranking import RANKING_LOSSES, BPRConfig, RankingLossConfig
from anchorrec_graph.models import MODELS, Recommender
from anchorrec_graph.models.anchorrec import AnchorRecConfig
from anchorrec_graph.models.freedom import FREEDOMConfig
from anchorrec_graph.models.lightgcn import LightGCNConfig
from anchorrec_graph.nn.alignment import AlignConfig, AlignTerm
from anchorrec_graph.nn.backbone import BACKBONES, Backbone, LightGCNBackboneConfig
from anchorrec_graph.nn.history import HistoryConfig
from anchorrec_graph.nn.preservation import PreserveConfig
from anchorrec_graph.prepare.pipeline import prepare
from anchorrec_graph.prepare.settings import PrepareSettings
from anchorrec_graph.registry import Registry
from anchorrec_graph.testing import check_backbone, check_model, tiny_data
from anchorrec_graph.typing import Batch


def import_everything() -> None:
    for module in pkgutil.walk_packages(anchorrec_graph.__path__, "anchorrec_graph."):
        if not module.name.endswith("__main__"):
            try:
                importlib.import_module(module.name)
            except ModuleNotFoundError as error:  # of an extra that is not installed
                if str(error.name).startswith("anchorrec_graph"):
                    raise


import_everything()  # before the tests are parametrised over the registries

EXTENSION_POINTS: dict[type[Any], Registry[Any]] = {
    Backbone: BACKBONES,
    Recommender: MODELS,
    DatasetConfig: DATASETS,
    SplitConfig: SPLITS,
    RankingLossConfig: RANKING_LOSSES,
}
MODALITIES = [("image",), ("image", "text"), ("image", "text", "audio")]
# settings of a model beside its default that take other paths through it
VARIANTS = [
    LightGCNConfig(backbone=LightGCNBackboneConfig(num_layers=0)),
    *(LightGCNConfig(loss=RANKING_LOSSES.parse(name)) for name in sorted(RANKING_LOSSES)),
    *(AnchorRecConfig(loss=RANKING_LOSSES.parse(name)) for name in sorted(RANKING_LOSSES)),
    LightGCNConfig(history=HistoryConfig(weight=3)),
    *(AnchorRecConfig(view_start=start) for start in ("gate", "feature", "feature+id")),
    *(AnchorRecConfig(align=AlignConfig(head=head)) for head in ("mlp", "linear", "none")),
    AnchorRecConfig(align=AlignConfig(source="feature", terms=(AlignTerm(targets={"image": 1, "id": 2}),))),
    *(AnchorRecConfig(align=AlignConfig(anchor=anchor)) for anchor in ("id", "text")),
    AnchorRecConfig(align=AlignConfig(weight=0), preserve=PreserveConfig(weight=0)),
    AnchorRecConfig(feature_dim=None, trainable_features=True, num_knn_layers=0),
    AnchorRecConfig(feature_dim=3, num_knn_layers=2, fused="image"),
    *(
        model(popularity_weight=0.5, loss=RANKING_LOSSES.parse(name))
        for model in (LightGCNConfig, FREEDOMConfig)
        for name in sorted(RANKING_LOSSES)
    ),
    AnchorRecConfig(popularity_weight=0, history=HistoryConfig(weight=0)),
    AnchorRecConfig(
        popularity_weight=0, loss=BPRConfig(), history=HistoryConfig(weight=3, dim=3, feature_weight=0)
    ),
    AnchorRecConfig(popularity_weight=2, score_views=(), history=HistoryConfig(weight=0)),
    AnchorRecConfig(l2_weight=0.01, margin_weight=0.01, smooth_weight=0.1, recover_weight=0.1),
]
# data sets that cannot be made from their defaults alone
DATASET_CASES: dict[str, Callable[[Path], DatasetConfig]] = {
    "mmrec": lambda folder: mmrec.MMRecConfig(folder=_mmrec_folder(folder)),
    "movielens": lambda _: movielens.MovieLensConfig(),
    "planted": lambda _: planted.PlantedConfig(num_users=60, num_items=40, interactions_per_user=8),
    "prepared": lambda folder: prepared.PreparedConfig(folder=_prepared_folder(folder)),
}


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_backbones(name: str) -> None:
    check_backbone(BACKBONES.config_class(name)())


@pytest.mark.parametrize("modalities", MODALITIES, ids="+".join)
@pytest.mark.parametrize("name", sorted(MODELS))
def test_models(name: str, modalities: tuple[str, ...]) -> None:
    check_model(MODELS.config_class(name)(), tiny_data(modalities=modalities))


@pytest.mark.parametrize("config", VARIANTS, ids=lambda c: repr(c)[:90])
def test_variants_of_models(config: Any) -> None:
    check_model(config.model_copy(update={"embedding_dim": 8}))


@pytest.mark.parametrize("name", sorted(RANKING_LOSSES))
def test_ranking_losses(name: str) -> None:
    config = RANKING_LOSSES.parse(name)
    generator = torch.Generator().manual_seed(0)
    user, item = (torch.randn(n, 4, generator=generator).requires_grad_() for n in (5, 9))
    batch = Batch(torch.tensor([0, 1, 1]), torch.tensor([2, 0, 3]), torch.tensor([4, 5, 8]))
    loss = config.loss(user, item, batch)
    assert loss.shape == ()
    assert float(loss.detach()) > 0
    for gradient, table in zip(torch.autograd.grad(loss, (user, item)), (user, item), strict=True):
        assert bool(torch.isfinite(gradient).all())
        better = table - 1e-3 * gradient
        changed = (better, item) if table is user else (user, better)
        assert float(config.loss(*changed, batch).detach()) < float(loss.detach())
    by_direction = torch.allclose(config.loss(3 * user, item / 2, batch), loss)
    assert by_direction == config.cosine  # the model serves as the loss scores
    prior = torch.zeros(9).index_fill(0, batch.positive_items, 1.0)
    assert float(config.loss(user, item, batch, prior).detach()) < float(loss.detach())
    assert torch.allclose(config.loss(user, item, batch, prior + 5), config.loss(user, item, batch, prior))


@pytest.mark.parametrize("name", sorted(SPLITS))
def test_splits(name: str) -> None:
    config = SPLITS.parse(name)
    rng = np.random.default_rng(0)
    user, item = np.divmod(rng.permutation(40 * 30)[:600], 30)
    interactions = Interactions(user, item, time=rng.integers(10**6, size=600))
    label = config.assign(interactions)
    assert label.shape == (600,)
    assert label.dtype == np.int64
    assert set(label.tolist()) == {0, 1, 2}
    assert np.array_equal(label, SPLITS.parse(config.model_dump(mode="json")).assign(interactions))


@pytest.mark.filterwarnings("ignore::anchorrec_graph.data.checks.DataWarning")
@pytest.mark.parametrize("name", sorted(DATASETS))
def test_datasets(name: str, tmp_path: Path) -> None:
    config = DATASET_CASES[name](tmp_path)
    first, second = config.load(), DATASETS.parse(config.model_dump(mode="json")).load()
    assert first.manifest["hash"] == second.manifest["hash"]
    _check_container(first)
    only = first.modalities[-1:]
    assert config.model_copy(update={"modalities": only}).load().modalities == only


def _check_container(data: HeteroData) -> None:
    num_users, num_items = data["user"].num_nodes, data["item"].num_nodes
    edges = data[INTERACTS]
    parts = edges.edge_index, edges.val_edge_label_index, edges.test_edge_label_index
    for pairs in parts:
        assert pairs.dtype == torch.int64
        assert bool((pairs >= 0).all())
        assert bool((pairs < torch.tensor([[num_users], [num_items]])).all())
    keys = torch.cat(parts, dim=1)[0] * num_items + torch.cat(parts, dim=1)[1]
    assert len(keys.unique()) == len(keys)  # no pair is in two parts
    for modality in data.modalities:
        assert data["item"][modality].shape[0] == num_items
        assert data["item"][modality].dtype == torch.float32
    assert len(data["user"].ids) == num_users
    assert len(data["item"].table) == num_items
    assert data["item"].table.columns[0] == "item_id"


def _mmrec_folder(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    pairs = [(user, user + step) for user in range(12) for step in range(6)]
    rows = [f"{user}\t{item}\t5\t{time}" for time, (user, item) in enumerate(pairs)]
    (folder / "tiny.inter").write_text("\n".join(["userID\titemID\trating\ttimestamp", *rows]) + "\n")
    for name, dim in (("image_feat", 5), ("text_feat", 4)):
        np.save(folder / f"{name}.npy", rng.standard_normal((17, dim)).astype(np.float32))
    return folder


def _prepared_folder(folder: Path) -> Path:
    source = {"name": "mmrec", "files": [_mmrec_folder(folder)]}
    prepare(PrepareSettings.model_validate({"source": source}), folder / "out", report=lambda line: None)
    return folder / "out"


def concrete_subclasses(base: type[Any]) -> list[type[Any]]:
    """All the way down, those of the package only."""
    found = []
    for subclass in base.__subclasses__():
        if subclass.__module__.startswith("anchorrec_graph.") and not inspect.isabstract(subclass):
            found.append(subclass)
        found += concrete_subclasses(subclass)
    return found


def uncovered() -> list[str]:
    """Concrete extensions in the package that no registry, and so no test above, knows."""
    return [
        f"{subclass.__module__}.{subclass.__qualname__} is in no registry"
        for base, registry in EXTENSION_POINTS.items()
        for subclass in concrete_subclasses(base)
        if subclass not in [registry[name] for name in registry]
    ]


def test_every_extension_is_registered_and_so_covered() -> None:
    assert uncovered() == []
    assert set(DATASET_CASES) == set(DATASETS), "give the new data set a case in DATASET_CASES"
    for registry in EXTENSION_POINTS.values():
        for name in registry:
            assert registry.config_class(name).model_fields["name"].default == name


def test_importing_the_package_registers_everything() -> None:
    code = """
import anchorrec_graph.losses.ranking as ranking, anchorrec_graph as ag, anchorrec_graph.data.split as split
print([sorted(r) for r in (ag.BACKBONES, ag.MODELS, ag.DATASETS, split.SPLITS, ranking.RANKING_LOSSES)])
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == str([sorted(registry) for registry in EXTENSION_POINTS.values()])


@pytest.mark.parametrize("base", EXTENSION_POINTS, ids=lambda c: c.__name__)
def test_an_uncovered_class_is_found(base: type[Any]) -> None:
    methods = {name: lambda self: None for name in base.__abstractmethods__}
    values = {"__module__": "anchorrec_graph.somewhere", **methods}
    grandchild = type("Forgotten", (type("Between", (base,), {}),), values)
    assert uncovered() == ["anchorrec_graph.somewhere.Forgotten is in no registry"]
    del grandchild, methods, values
    gc.collect()
    assert uncovered() == []
