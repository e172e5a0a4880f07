"""New items: the rows that the item would have in the graphs if it stood there, bought by nobody."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from anchorrec_graph.data.base import INTERACTS
from anchorrec_graph.data.planted import PlantedConfig
from anchorrec_graph.encoders.fused import fuse_features
from anchorrec_graph.errors import ConfigError, DataError
from anchorrec_graph.graph.knn import KnnConfig, knn_edges
from anchorrec_graph.losses.ranking import BPRConfig
from anchorrec_graph.models import build_model
from anchorrec_graph.models.anchorrec import AnchorRec, AnchorRecConfig
from anchorrec_graph.nn.feature_ridge import fit_feature_ridge
from anchorrec_graph.nn.history import HistoryConfig
from anchorrec_graph.testing import tiny_data

MODALITIES = ("image", "text", "fused")
KNN = KnnConfig(k=3)


def plain(**settings: object) -> AnchorRecConfig:
    """Learned views only, in the units of training."""
    return AnchorRecConfig.model_validate(
        {
            "embedding_dim": 8,
            "loss": BPRConfig(),
            "popularity_weight": 0.0,
            "history": HistoryConfig(),
            "feature_dim": None,
            "knn": KNN,
            **settings,
        }
    )


def with_and_without() -> tuple[HeteroData, HeteroData, dict[str, Tensor]]:
    """Data whose last item is bought by nobody and nobody's neighbour, the same without it, its features."""
    data = tiny_data(modalities=MODALITIES)
    last = int(data["item"].num_nodes) - 1
    edges = data[INTERACTS]
    edges.edge_index = edges.edge_index[:, edges.edge_index[1] != last]
    generator = torch.Generator().manual_seed(0)
    for modality in MODALITIES:
        rows = data["item"][modality] = data["item"][modality].clone()
        for _ in range(1000):
            rows[last] = torch.randn(rows.shape[1], generator=generator)
            edge_index, _ = knn_edges(rows, KNN)
            if not (edge_index[1] == last).any() and (edge_index[0] == last).any():
                break
        else:
            raise AssertionError("no features found that leave the item alone")
    smaller = copy.copy(data)
    smaller["item"].num_nodes = last
    smaller["item"].table = data["item"].table[:last]
    for modality in MODALITIES:
        smaller["item"][modality] = data["item"][modality][:last]
    return data, smaller, {m: data["item"][m][last:] for m in MODALITIES}


def twins(config: AnchorRecConfig) -> tuple[AnchorRec, AnchorRec, HeteroData, dict[str, Tensor]]:
    """Equal models of both."""
    data, smaller, features = with_and_without()
    torch.manual_seed(0)
    whole, part = build_model(config, data).eval(), build_model(config, smaller).eval()
    assert isinstance(whole, AnchorRec)
    assert isinstance(part, AnchorRec)
    state = whole.state_dict()
    state["item.weight"] = state["item.weight"][:-1]
    part.load_state_dict(state)
    return whole, part, smaller, features


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("start", ["feature+id", "feature", "gate"])
def test_views_are_those_of_a_node_in_the_graph(layers: int, start: str) -> None:
    whole, part, smaller, features = twins(plain(num_knn_layers=layers, view_start=start))
    with torch.no_grad():
        expected, rows = whole.encode(), part.attachment(smaller).rows(features)
    for modality in MODALITIES:
        torch.testing.assert_close(rows[modality][0], expected.views[modality].item[-1], atol=1e-6, rtol=1e-4)
        assert rows[modality].any()


def test_the_id_row_is_the_mean_of_the_neighbours() -> None:
    _, part, smaller, features = twins(plain())
    with torch.no_grad():
        rows, ids = part.attachment(smaller).rows(features)["id"], part.encode().views["id"].item
    total, weights = np.zeros(8), 0.0
    for modality in MODALITIES:
        native, new = smaller["item"][modality].double().numpy(), features[modality][0].double().numpy()
        lengths = np.linalg.norm(native, axis=1) * np.linalg.norm(new)
        cosines = np.where(lengths > 0, native @ new / np.where(lengths > 0, lengths, 1), -1)
        for j in np.argsort(-cosines)[: KNN.k]:
            if cosines[j] > 0:
                total, weights = total + cosines[j] * ids[j].double().numpy(), weights + cosines[j]
    np.testing.assert_allclose(rows[0], total / weights, atol=1e-6)


def test_a_cosine_score_gives_learned_rows_of_length_one() -> None:
    config = plain(loss={"name": "softmax"}, popularity_weight=0.5, fused="fused")
    _, part, smaller, features = twins(config)
    with torch.no_grad():
        rows = part.attachment(smaller).rows(features)
    learned = torch.stack([rows[name] for name in ("id", *MODALITIES)]).sum(0)
    assert learned.norm() == pytest.approx(1, abs=1e-5)


def test_a_built_fused_feature_is_built_for_new_rows_too() -> None:
    data = tiny_data()
    native = {m: data["item"][m] for m in data.modalities}
    model = build_model(AnchorRecConfig(embedding_dim=8, feature_dim=4), data).eval()
    with torch.no_grad():
        attachment = model.attachment(data)
    parts = [attachment.fusion[m].rows(x[5:9]) for m, x in native.items()]
    torch.testing.assert_close(torch.cat(parts, dim=1), fuse_features(native, 4)[5:9])


def test_an_old_item_placed_as_new_is_not_its_own_neighbour() -> None:
    data, own = tiny_data(), torch.tensor([5, 2, 9])
    model = build_model(plain(), data).eval()
    features = {m: data["item"][m][own] for m in data.modalities}
    with torch.no_grad():
        attachment = model.attachment(data)
        found, _ = attachment.joined(features, own)
    for place, i in enumerate(own.tolist()):
        total, weights = torch.zeros(8), 0.0
        for graph in attachment.graphs.values():
            cosines = {j: float(graph.unit[i] @ graph.unit[j]) for j in range(len(graph.unit)) if j != i}
            for j in sorted(cosines, key=lambda j: -cosines[j])[: KNN.k]:
                if cosines[j] > 0:
                    total, weights = total + cosines[j] * attachment.lent["id"][j], weights + cosines[j]
        torch.testing.assert_close(found["id"][place], total / weights, atol=1e-5, rtol=1e-4)


def test_old_items_placed_as_new_hold_what_they_hold_by_their_own_rows() -> None:
    """History and popularity are regressions; the level is that of the whole score, in softmax shares."""
    data, tau = tiny_data(), 0.3
    config = plain(
        loss={"name": "softmax", "temperature": tau},
        popularity_weight=0.5,
        history=HistoryConfig(weight=5.0, dim=4),
    )
    model = build_model(config, data).eval()
    assert isinstance(model, AnchorRec)
    native = {m: data["item"][m] for m in data.modalities}
    with torch.no_grad():
        final, attachment = model.encode(), model.attachment(data)
        rows, borrowed = attachment.joined(native, torch.arange(len(final.item)))
    fits = {
        name: fit_feature_ridge(native, final.views[name].item[:, start : start + width])
        for name, start, width in (("history", 8, 4), ("popularity", 12, 1))
    }
    history = fits["history"].left_out + borrowed["history"]
    left_out = torch.cat([torch.stack(list(rows.values())).sum(0), history, fits["popularity"].left_out], 1)
    center = attachment.regressed["popularity"].center
    level = float(center - fits["popularity"].ridge.center)
    user, item = data[INTERACTS].edge_index
    shares = []
    for u in range(len(final.user)):
        free = [j for j in range(len(final.item)) if j not in item[user == u].tolist()]
        ours = sum(np.exp(float(final.user[u] @ left_out[j] + level) / tau) for j in free)
        shares.append(ours / sum(np.exp(float(final.user[u] @ final.item[j]) / tau) for j in free))
    assert np.mean(shares) == pytest.approx(1, abs=1e-3)
    assert abs(level) > 1e-3
    with torch.no_grad():
        new = attachment.rows({m: x[:2] for m, x in native.items()})
    torch.testing.assert_close(
        new["popularity"][:, 12:],
        fits["popularity"].ridge.rows({m: x[:2] for m, x in native.items()}) + level,
    )
    lent = attachment.joined({m: x[:2] for m, x in native.items()})[1]["history"]
    torch.testing.assert_close(
        new["history"][:, 8:12], fits["history"].ridge.rows({m: x[:2] for m, x in native.items()}) + lent
    )


def test_the_buyers_of_neighbours_count_as_is_likeliest() -> None:
    """The fused graph, made of the others, does not count them again."""
    data = PlantedConfig(num_users=200, num_items=100, num_clusters=8, seed=1).load()
    config = plain(loss={"name": "softmax"}, history=HistoryConfig(weight=5.0, dim=4))
    model = build_model(config, data).eval()
    assert isinstance(model, AnchorRec)
    assert model.scoring.history is not None
    with torch.no_grad():
        attachment = model.attachment(data)
        bought = model.scoring.history.bought(data)
        found = attachment.joined({m: data["item"][m][:4] for m in data.modalities}, torch.arange(4))[1]
    weight = float(attachment.lent["history"].norm() / bought.norm())
    assert weight > 0
    for i in range(4):
        total, weights = torch.zeros(4), 0.0
        for modality in data.modalities:
            unit = attachment.graphs[modality].unit
            cosines = {j: float(unit[i] @ unit[j]) for j in range(len(unit)) if j != i}
            for j in sorted(cosines, key=lambda j: -cosines[j])[: KNN.k]:
                if cosines[j] > 0:
                    total, weights = total + cosines[j] * weight * bought[j], weights + cosines[j]
        torch.testing.assert_close(found["history"][i], total / weights, atol=1e-5, rtol=1e-4)


def test_an_item_without_a_picture_is_placed_by_its_text() -> None:
    data = tiny_data()
    model = build_model(AnchorRecConfig(embedding_dim=8), data).eval()
    with torch.no_grad():
        rows = model.attachment(data).rows({"text": data["item"].text[:2]})
    assert not rows["image"].any()
    assert all(bool(rows[name].any()) for name in ("id", "text", "fused"))


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ({}, "needs a feature: image or text"),
        ({"images": torch.ones(1, 12)}, "did you mean 'image'"),
        ({"image": torch.ones(1, 99)}, r"shape \[1, 99\]; \[items, \d+\] is needed"),
        ({"image": "inf"}, "not finite"),
        ({"image": "two", "text": "one"}, "differ in number"),
    ],
)
def test_bad_features(features: Mapping[str, Tensor | str], message: str) -> None:
    data = tiny_data()
    rows = {
        name: x
        if isinstance(x, Tensor)
        else {
            "inf": data["item"][name][:1] * torch.inf,
            "one": data["item"][name][:1],
            "two": data["item"][name][:2],
        }[x]
        for name, x in features.items()
    }
    with torch.no_grad():
        attachment = build_model(AnchorRecConfig(embedding_dim=8), data).attachment(data)
    with pytest.raises(DataError, match=message):
        attachment.rows(rows)


def test_without_an_item_graph_there_is_no_place() -> None:
    data = tiny_data()
    model = build_model(AnchorRecConfig(embedding_dim=8, num_knn_layers=0), data)
    with pytest.raises(ConfigError, match="num_knn_layers above 0"):
        model.attachment(data)
