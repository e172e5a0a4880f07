from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import naive
import numpy as np
import pytest
import torch
from example_backbones import GATConfig, examples_registered
from torch import Tensor
from torch.nn import functional

from anchorrec_graph.data.base import INTERACTS
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.models import MODELS, build_model
from anchorrec_graph.models.bm3 import BM3, BM3Config
from anchorrec_graph.nn.backbone import LightGCNBackboneConfig
from anchorrec_graph.testing import check_model, tiny_data
from anchorrec_graph.testing.reference import check_file
from anchorrec_graph.typing import Batch

REFERENCE = Path(__file__).parents[1] / "data" / "reference" / "bm3.npz"
BATCH = Batch(torch.tensor([0, 1, 1, 7, 2]), torch.tensor([3, 4, 4, 9, 3]), torch.tensor([8, 0, 5, 3, 1]))
THREE = ("image", "text", "audio")


@pytest.fixture(autouse=True)
def _examples() -> Iterator[None]:
    with examples_registered():
        yield


def built(modalities: tuple[str, ...] = THREE, **settings: object) -> BM3:
    torch.manual_seed(0)
    model = build_model(BM3Config(embedding_dim=6, **settings), tiny_data(modalities=modalities))
    assert isinstance(model, BM3)
    return model.double()


def terms_of(model: BM3, seed: int = 0) -> dict[str, float]:
    torch.manual_seed(seed)
    return {name: float(term.detach()) for name, term in model.loss_terms(BATCH).items()}


def halve(x: Tensor, rate: float) -> Tensor:
    """A dropout without chance: the first half of each row is lost."""
    assert rate == 0.5
    assert not x.requires_grad
    return torch.cat([torch.zeros_like(x[:, :3]), 2 * x[:, 3:]], dim=1)


def test_golden_numbers() -> None:
    assert check_file(REFERENCE).passed


@pytest.mark.parametrize("modalities", [("image",), THREE], ids="+".join)
@pytest.mark.parametrize("num_layers", [0, 2])
def test_loss_and_embeddings_equal_the_loops(
    modalities: tuple[str, ...], num_layers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(functional, "dropout", halve)
    model = built(modalities, backbone=LightGCNBackboneConfig(num_layers=num_layers), modality_weight=3.0)
    data = tiny_data(modalities=modalities)
    pairs = [tuple(pair) for pair in data[INTERACTS].edge_index.T.tolist()]
    p, e = (table.weight.detach().numpy() for table in (model.user, model.item))
    x = naive.lightgcn(pairs, p, e, num_layers)
    user, item = x[: len(p)], x[len(p) :] + e

    def linear(layer: torch.nn.Module, rows: naive.Matrix) -> naive.Matrix:
        return rows @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()

    def distance(online: naive.Matrix, target: naive.Matrix) -> float:
        target = target * np.array([0, 0, 0, 2, 2, 2])
        return 1 - sum(naive.cosine(o, t) for o, t in zip(online, target, strict=True)) / len(online)

    users, items, _ = (ids.tolist() for ids in BATCH)
    predicted = {name: linear(model.predictor, rows) for name, rows in (("u", user), ("i", item))}
    expected = {"align": 0.0, "mask": 0.0, "l2": 0.1 * naive.norm_penalty([item, user])}
    expected["reconstruct"] = distance(predicted["u"][users], item[items])
    expected["reconstruct"] += distance(predicted["i"][items], user[users])
    for m in modalities:
        z = linear(model.project[m], data["item"][m].double().numpy())[items]
        online = linear(model.predictor, z)
        expected["align"] += 3 * distance(online, item[items])
        expected["mask"] += 3 * distance(online, z)
    assert terms_of(model) == pytest.approx(expected, rel=1e-6)  # edge weights are float32

    embeddings = model.encode()
    np.testing.assert_allclose(embeddings.user.detach().numpy(), predicted["u"], atol=1e-6)
    np.testing.assert_allclose(embeddings.item.detach().numpy(), predicted["i"], atol=1e-6)


def test_dropout_is_drawn_anew_and_not_in_evaluation() -> None:
    model = built(dropout=0.5)
    first, second = terms_of(model), terms_of(model, seed=1)
    assert first == terms_of(model)
    assert [name for name in first if first[name] != second[name]] == ["reconstruct", "align", "mask"]
    assert torch.equal(model.encode().user, model.encode().user)
    without = built(dropout=0.0)
    assert terms_of(without) == terms_of(without, seed=1)


def test_a_repeated_item_has_one_target(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []
    dropout = functional.dropout
    monkeypatch.setattr(functional, "dropout", lambda x, rate: drawn.append(len(x)) or dropout(x, rate))
    built(("image",)).loss_terms(BATCH)
    assert drawn == [4, 3, 3]  # distinct users, items, and their features


def test_weights_scale_their_terms() -> None:
    one, two = terms_of(built()), terms_of(built(modality_weight=4.0, l2_weight=0.3))
    expected = one | {"align": 2 * one["align"], "mask": 2 * one["mask"], "l2": 3 * one["l2"]}
    assert two == pytest.approx(expected)


def test_negatives_do_not_matter() -> None:
    model = built(dropout=0.0)
    changed = BATCH._replace(negative_items=BATCH.negative_items.flip(0))
    for name, term in model.loss_terms(changed).items():
        assert torch.equal(term, model.loss_terms(BATCH)[name])


def test_features_may_be_frozen() -> None:
    frozen, trained = built(trainable_features=False), built()
    assert terms_of(frozen) == terms_of(trained)
    names = {name for name, _ in trained.named_parameters()} - {name for name, _ in frozen.named_parameters()}
    assert names == {f"features.{modality}.rows" for modality in THREE}


@pytest.mark.parametrize(
    "settings",
    [
        {"backbone": LightGCNBackboneConfig(num_layers=0)},
        {"backbone": GATConfig()},
        {"dropout": 0.0, "trainable_features": False},
        {"modality_weight": 0.0, "l2_weight": 0.0},
    ],
    ids=str,
)
def test_conformance_of_variants(settings: dict[str, object]) -> None:
    check_model(BM3Config(embedding_dim=8, **settings), tiny_data(modalities=THREE))


def test_errors() -> None:
    with pytest.raises(ConfigError, match="bm3 needs a modality"):
        build_model(BM3Config(), tiny_data(modalities=()))
    with pytest.raises(ValueError, match="dropout"):
        MODELS.parse({"name": "bm3", "dropout": 1.0})
    with pytest.raises(ValueError, match="loss"):
        MODELS.parse({"name": "bm3", "loss": "bpr"})
