from __future__ import annotations

from typing import Any

import naive
import pytest
import torch
from pydantic import ValidationError
from tiny_anchorrec import batches

from anchorrec_graph.errors import ConfigError
from anchorrec_graph.losses.ranking import RANKING_LOSSES, SoftmaxConfig
from anchorrec_graph.models import MODELS, build_model
from anchorrec_graph.models.alignrec import AlignRec, AlignRecConfig
from anchorrec_graph.nn.backbone import LightGCNBackboneConfig
from anchorrec_graph.testing import check_model, tiny_data

Names = tuple[str, ...]


def small(**settings: Any) -> AlignRecConfig:
    return AlignRecConfig(embedding_dim=6, **settings)


def built(config: AlignRecConfig, modalities: Names = ("image", "text"), seed: int = 0) -> AlignRec:
    torch.manual_seed(seed)
    model = build_model(config, tiny_data(modalities=modalities))
    assert isinstance(model, AlignRec)
    return model


@pytest.mark.parametrize("modalities", [("image",), ("tags", "audio"), ("a", "b", "c"), ("text", "fused")])
def test_any_names_and_number_of_modalities(modalities: Names) -> None:
    assert set(built(small(), modalities).encode().views) == {"id", "fused"}
    check_model(small(), tiny_data(modalities=modalities))


@pytest.mark.parametrize(
    "settings",
    [
        *({"loss": RANKING_LOSSES.parse(name)} for name in sorted(RANKING_LOSSES)),
        {"trainable_features": False, "num_knn_layers": 2},
        {"num_knn_layers": 0, "fused": "text"},
        {"backbone": LightGCNBackboneConfig(num_layers=0)},
        {"l2_weight": 0.0, "align_weight": 0.0, "cosine_weight": 0.0, "preserve_weight": 0.0},
    ],
    ids=str,
)
def test_conformance_of_variants(settings: dict[str, Any]) -> None:
    check_model(small(**settings))


def test_one_feature_is_read() -> None:
    data = tiny_data(modalities=("text", "fused"))
    assert torch.equal(built(small(), ("text", "fused")).features(), data["item"]["fused"])
    named = built(small(fused="text"), ("image", "text"))
    assert torch.equal(named.features(), tiny_data()["item"]["text"])
    assert set(named.encode().views) == {"id", "text"}
    assert built(small()).features().shape == (24, 8 + 9)  # built from image and text


def test_terms_equal_the_loops() -> None:
    config = small(
        l2_weight=0.1,
        l2_batch_size=30,
        align_weight=0.7,
        temperature=0.3,
        cosine_weight=0.4,
        preserve_weight=0.5,
    )
    model, batch = built(config), batches(1)[0]
    for ids in (batch.users, batch.positive_items):
        assert len(ids.unique()) < len(ids)
    users, positives, negatives = (ids.tolist() for ids in batch)
    with torch.no_grad():
        terms = {name: float(term) for name, term in model.loss_terms(batch).items()}
        embeddings = model.encode()
        (id_user, id_item), (content_user, content_item) = (
            [x.double().numpy() for x in embeddings.views[name]] for name in ("id", "fused")
        )
        features = model.features().double().numpy()
    user, item = (x.double().numpy() for x in embeddings[:2])
    triple = [user[users], item[positives], item[negatives]]
    nce = naive.info_nce(content_item[positives], id_item[positives], 0.3)
    nce += naive.info_nce(content_user[users], id_user[users], 0.3)
    cosines = [naive.cosine(u, p) for u, p in zip(triple[0], triple[1], strict=True)]
    expected = {
        "ranking": naive.bpr(*triple),
        "l2": 0.1 * naive.squared_norm_penalty(triple, 30),
        "align": 0.7 * nce,
        "cosine": 0.4 * (1 - sum(cosines) / len(cosines)),
        "preserve": 0.5 * naive.similarity_gap(content_item[positives], features[positives]),
    }
    assert terms == pytest.approx(expected, rel=1e-5)


def test_views_travel_over_their_graphs() -> None:
    model = built(small(num_knn_layers=2))
    with torch.no_grad():
        user, item = model.encode().views["fused"]
        gate = torch.sigmoid(model.view.gate(model.view.project(model.features())))
        expected = model.item_graph(model.item_graph(model.item.weight * gate))
        torch.testing.assert_close(item, expected)
        torch.testing.assert_close(user, model.user_from_item(expected))


def test_the_loss_ranks_by_the_scores_that_are_served() -> None:
    batch = batches(1)[0]
    for config in (small(), small(loss=SoftmaxConfig())):
        model = built(config)
        user, item, _ = model.encode()
        torch.testing.assert_close(model.loss_terms(batch)["ranking"], config.loss.loss(user, item, batch))


def test_wrong_names_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"model\.fused: unknown modality 'imaeg'; did you mean 'image'"):
        built(small(fused="imaeg"))
    with pytest.raises(ConfigError, match="a modality is named 'id', a name that alignrec uses itself"):
        built(small(), ("image", "id"))
    with pytest.raises(ConfigError, match="alignrec needs a modality"):
        built(small(), ())


@pytest.mark.parametrize(
    "settings", [{"temperature": 0}, {"align_weight": -1}, {"knn": {"k": 0}}, {"sim": 1}]
)
def test_wrong_values_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        MODELS.parse({"name": "alignrec", **settings})
