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
from anchorrec_graph.encoders.fused import fuse_features
from anchorrec_graph.errors import ConfigError, DataError
from anchorrec_graph.graph.knn import KnnConfig, knn_edges
from anchorrec_graph.losses.ranking import BPRConfig
from anchorrec_graph.models import build_model
from anchorrec_graph.models.anchorrec import AnchorRec, AnchorRecConfig
from anchorrec_graph.nn.history import History, HistoryConfig
from anchorrec_graph.nn.item_weights import user_rows
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
    assert not rows["popularity"].any()  # the prior of an average item


def test_a_built_fused_feature_is_built_for_new_rows_too() -> None:
    data = tiny_data()
    native = {m: data["item"][m] for m in data.modalities}
    model = build_model(AnchorRecConfig(embedding_dim=8, feature_dim=4), data).eval()
    with torch.no_grad():
        attachment = model.attachment(data)
    parts = [attachment.fusion[m].rows(x[5:9]) for m, x in native.items()]
    torch.testing.assert_close(torch.cat(parts, dim=1), fuse_features(native, 4)[5:9])


def test_the_history_of_a_new_item_is_the_regression_of_an_empty_column() -> None:
    _, data, features = with_and_without()
    config = HistoryConfig(weight=2.0, regularization=1.5, feature_weight=4.0)
    history, rows = History(config, data), user_rows(data, "history").double().numpy()
    with torch.no_grad():
        maps = history.new_items(data)
    unit = {m: _unit(x) for m, x in features.items()}
    found = history.user @ sum((unit[m] @ maps[m] for m in MODALITIES), torch.zeros(())).T
    gram, wanted = rows.T @ rows + 1.5 * np.eye(rows.shape[1]), np.zeros(rows.shape[1])
    for m in MODALITIES:
        native = _unit(data["item"][m]).double().numpy()
        gram += 4.0 / 3 * native @ native.T
        wanted += 4.0 / 3 * native @ unit[m][0].double().numpy()
    counts = np.maximum(rows.sum(1), 1)
    expected = 2.0 * rows @ np.linalg.solve(gram, wanted) / np.sqrt(counts)
    np.testing.assert_allclose(found[:, 0], expected, atol=1e-5)
    assert np.abs(expected).max() > 0.01


def _unit(rows: Tensor) -> Tensor:
    return rows / rows.norm(dim=1, keepdim=True).clamp(min=1e-12)


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
