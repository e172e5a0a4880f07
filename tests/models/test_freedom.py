from __future__ import annotations

import copy
from typing import Any

import naive
import numpy as np
import pytest
import torch
from pydantic import ValidationError
from tiny_anchorrec import batches

from anchorrec_graph.data.base import INTERACTS
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.graph.pruning import prune_edges
from anchorrec_graph.graph.relation import Relation
from anchorrec_graph.losses.ranking import RANKING_LOSSES, SoftmaxConfig
from anchorrec_graph.models import MODELS, build_model
from anchorrec_graph.models.freedom import FREEDOM, FREEDOMConfig
from anchorrec_graph.nn.backbone import LightGCNBackboneConfig
from anchorrec_graph.testing import check_model, tiny_data

Names = tuple[str, ...]
NAMES = [("image",), ("tags", "audio"), ("image", "text", "audio")]


def small(**settings: Any) -> FREEDOMConfig:
    return FREEDOMConfig(embedding_dim=6, **settings)


def built(config: FREEDOMConfig, modalities: Names = ("image", "text"), seed: int = 0) -> FREEDOM:
    torch.manual_seed(seed)
    model = build_model(config, tiny_data(modalities=modalities))
    assert isinstance(model, FREEDOM)
    return model.double()


def item_graph(model: FREEDOM, modality: str) -> np.ndarray[Any, Any]:
    """Dense: 1/k for each of the k nearest that have neighbours of their own, by loops."""
    features = tiny_data(modalities=tuple(model.shares))["item"][modality].double().numpy()
    near = naive.knn(features, model.config.knn.k, include_self=True)
    dense = np.zeros((len(features), len(features)))
    for item, neighbours in enumerate(near):
        for other, _ in neighbours:
            dense[item, other] = 1 / model.config.knn.k
    return dense


@pytest.mark.parametrize("num_knn_layers", [1, 2])
@pytest.mark.parametrize("shares", [None, {"image": 0.1, "text": 0.7, "audio": 0.3}], ids=["equal", "given"])
def test_embeddings_equal_the_loops(shares: dict[str, float] | None, num_knn_layers: int) -> None:
    config = small(graph_shares=shares, num_knn_layers=num_knn_layers)
    model = built(config, NAMES[2])
    pairs = [tuple(pair) for pair in tiny_data()[INTERACTS].edge_index.T.tolist()]
    user, item = (table.weight.detach().numpy() for table in (model.user, model.item))
    layers = naive.lightgcn(pairs, user, item, 2)
    mixed = sum(
        (shares or dict.fromkeys(NAMES[2], 1 / 3))[modality] * item_graph(model, modality)
        for modality in NAMES[2]
    )
    content = np.linalg.matrix_power(mixed, num_knn_layers) @ item
    model.start_epoch(torch.Generator())  # evaluation sees every edge all the same
    embeddings = model.encode()
    assert set(embeddings.views) == {"id", *NAMES[2]}
    np.testing.assert_allclose(embeddings.user.detach().numpy(), layers[: len(user)], atol=1e-6)
    np.testing.assert_allclose(embeddings.item.detach().numpy(), layers[len(user) :] + content, atol=1e-6)


@pytest.mark.parametrize("drop_edges", [0.0, 0.8])
def test_the_loss_equals_the_loops_on_the_pruned_graph(drop_edges: float) -> None:
    model = built(small(drop_edges=drop_edges, feature_weight=0.5))
    model.start_epoch(torch.Generator().manual_seed(3))
    edge_index = tiny_data()[INTERACTS].edge_index
    kept = prune_edges(edge_index, drop_edges, torch.Generator().manual_seed(3))
    pairs = [tuple(pair) for pair in kept.T.tolist()]
    user, item = (table.weight.detach().numpy() for table in (model.user, model.item))
    layers = naive.lightgcn(pairs, user, item, 2)
    final_user = layers[: len(user)]
    final_item = layers[len(user) :] + (item_graph(model, "image") + item_graph(model, "text")) @ item / 2
    batch = batches(1)[0]
    users, positives, negatives = (ids.tolist() for ids in batch)
    features = 0.0
    for modality in ("image", "text"):
        projected = model.project[modality](model.features[modality]()).detach().numpy()
        features += naive.bpr(final_user[users], projected[positives], projected[negatives])
    ranking = naive.bpr(final_user[users], final_item[positives], final_item[negatives])
    terms = {name: float(term.detach()) for name, term in model.loss_terms(batch).items()}
    assert terms == pytest.approx({"ranking": ranking, "features": 0.5 * features}, rel=1e-6)


def test_gradients_equal_those_of_the_whole_table() -> None:
    """Only the batch's items are projected; repeated ones count as often as they occur."""
    model, batch = built(small(feature_weight=0.5)), batches(1)[0]
    twin = copy.deepcopy(model)
    model.loss_terms(batch)["features"].backward()
    user = twin.propagate(twin.pruned)[0][batch.users]
    total = torch.zeros(())
    for modality in ("image", "text"):
        projected = twin.project[modality](twin.features[modality]())
        gap = user * (projected[batch.positive_items] - projected[batch.negative_items])
        total = total - 0.5 * gap.sum(1).sigmoid().log().mean()
    total.backward()
    for name in ("user.weight", "features.image.rows", "project.text.weight"):
        torch.testing.assert_close(model.get_parameter(name).grad, twin.get_parameter(name).grad)


def test_an_epoch_draws_a_new_graph_of_the_given_share() -> None:
    model, generator = built(small(drop_edges=0.75)), torch.Generator().manual_seed(0)
    whole = edges(model.user_item)
    drawn = []
    for _ in range(3):
        model.start_epoch(generator)
        drawn.append(edges(model.pruned))
        assert len(drawn[-1]) == 2 * int(len(whole) // 2 * 0.25)
        assert drawn[-1] < whole
        assert edges(model.user_item) == whole
    assert len(set(map(frozenset, drawn))) == 3


def edges(graph: Relation) -> set[tuple[int, ...]]:
    return {tuple(pair) for pair in graph.edge_index.T.tolist()}


def test_without_dropping_training_and_evaluation_agree() -> None:
    model, batch = built(small(drop_edges=0.0)), batches(1)[0]
    model.start_epoch(torch.Generator())
    user, item, _ = model.encode()
    torch.testing.assert_close(model.loss_terms(batch)["ranking"], model.config.loss.loss(user, item, batch))


@pytest.mark.parametrize("modalities", NAMES, ids="+".join)
def test_any_names_and_number_of_modalities(modalities: Names) -> None:
    check_model(small(), tiny_data(modalities=modalities))


@pytest.mark.parametrize(
    "settings",
    [
        *({"loss": RANKING_LOSSES.parse(name)} for name in sorted(RANKING_LOSSES)),
        {"feature_weight": 0.0},
        {"drop_edges": 0.0},
        {"trainable_features": False, "num_knn_layers": 3},
        {"graph_shares": {"text": 0.9}},
        {"backbone": LightGCNBackboneConfig(num_layers=0)},
    ],
    ids=str,
)
def test_conformance_of_variants(settings: dict[str, Any]) -> None:
    check_model(small(**settings))


def test_a_modality_without_a_share_is_in_no_graph_but_its_features_are_ranked() -> None:
    model = built(small(graph_shares={"text": 0.9}))
    assert set(model.encode().views) == {"id", "text"}
    assert set(model.project) == {"image", "text"}


def test_without_weight_there_are_no_features() -> None:
    model = built(small(feature_weight=0.0))
    assert {name for name, _ in model.named_parameters()} == {"user.weight", "item.weight"}
    assert set(model.loss_terms(batches(1)[0])) == {"ranking"}


def test_frozen_features_are_no_parameters() -> None:
    names = {name for name, _ in built(small(trainable_features=False)).named_parameters()}
    assert "features.image.rows" not in names
    assert "project.image.weight" in names


def test_the_feature_part_stays_bpr_with_another_ranking_loss() -> None:
    batch = batches(1)[0]
    terms = [built(config).loss_terms(batch) for config in (small(), small(loss=SoftmaxConfig()))]
    assert torch.equal(terms[0]["features"], terms[1]["features"])
    assert not torch.equal(terms[0]["ranking"], terms[1]["ranking"])


def test_wrong_names_are_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"model\.graph_shares: unknown modality 'imag'; did you mean 'image'"
    ):
        built(small(graph_shares={"imag": 1.0}))
    with pytest.raises(ConfigError, match="a modality is named 'id'"):
        built(small(), ("image", "id"))
    with pytest.raises(ConfigError, match="freedom needs a modality"):
        built(small(), ())


@pytest.mark.parametrize(
    "settings",
    [{"drop_edges": 1.0}, {"drop_edges": -0.1}, {"graph_shares": {"image": -1}}, {"num_knn_layers": 0}],
)
def test_wrong_values_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        MODELS.parse({"name": "freedom", **settings})
