from __future__ import annotations

from pathlib import Path

import naive
import numpy as np
import pytest
import torch

from anchorrec_graph.data.base import INTERACTS
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.explain.parts import view_parts
from anchorrec_graph.losses.ranking import RANKING_LOSSES, SoftmaxConfig
from anchorrec_graph.models import build_model
from anchorrec_graph.models.vbpr import VBPR, VBPRConfig
from anchorrec_graph.testing import check_model, tiny_data
from anchorrec_graph.testing.reference import check_file
from anchorrec_graph.typing import Batch

REFERENCE = Path(__file__).parents[1] / "data" / "reference" / "vbpr.npz"
BATCH = Batch(torch.tensor([0, 1, 1, 7]), torch.tensor([3, 4, 4, 9]), torch.tensor([8, 0, 5, 3]))
MODALITIES = [("image",), ("image", "text"), ("image", "text", "audio")]


def built(modalities: tuple[str, ...] = ("image", "text"), **settings: object) -> VBPR:
    torch.manual_seed(0)
    model = build_model(VBPRConfig(embedding_dim=6, **settings), tiny_data(modalities=modalities))
    assert isinstance(model, VBPR)
    return model.double()


def test_golden_numbers() -> None:
    assert check_file(REFERENCE).passed


@pytest.mark.parametrize("modalities", MODALITIES, ids="+".join)
def test_embeddings_and_loss_equal_the_loops(modalities: tuple[str, ...]) -> None:
    model, data = built(modalities, l2_weight=0.1), tiny_data(modalities=modalities)
    user, own = (table.weight.detach().numpy() for table in (model.user, model.item))
    weight, bias = (p.detach().numpy() for p in (model.project.weight, model.project.bias))
    item = np.zeros((len(own), 12))
    for row in range(len(own)):
        x = [float(value) for modality in modalities for value in data["item"][modality][row]]
        item[row, :6] = own[row]
        for place in range(6):
            item[row, 6 + place] = bias[place] + sum(weight[place, k] * x[k] for k in range(len(x)))

    embeddings = model.encode()
    np.testing.assert_allclose(embeddings.user.detach().numpy(), user, atol=1e-12)
    np.testing.assert_allclose(embeddings.item.detach().numpy(), item, atol=1e-12)

    users, positives, negatives = (ids.tolist() for ids in BATCH)
    blocks = [user[users], item[positives], item[negatives]]
    terms = {name: float(term.detach()) for name, term in model.loss_terms(BATCH).items()}
    penalty = 0.1 * naive.norm_penalty(blocks)
    assert terms == pytest.approx({"ranking": naive.bpr(*blocks), "l2": penalty}, rel=1e-9)


def test_the_views_are_the_own_half_and_each_modality() -> None:
    embeddings = built(("text", "audio")).encode()
    assert list(embeddings.views) == ["id", "text", "audio"]
    user, item = embeddings.views["id"]
    assert not user[:, 6:].any()
    assert not item[:, 6:].any()
    for modality in ("text", "audio"):
        user, item = embeddings.views[modality]
        assert not user[:, :6].any()
        assert not item[:, :6].any()
        torch.testing.assert_close(user[:, 6:], embeddings.user[:, 6:] / 2)
    pairs = torch.arange(20), torch.arange(20)
    own = (embeddings.user[:20, :6] * embeddings.item[:20, :6]).sum(1)
    torch.testing.assert_close(view_parts(embeddings, *pairs)["id"], own)


def test_only_a_modalitys_own_features_move_its_view() -> None:
    data = tiny_data()
    model = build_model(VBPRConfig(), data)
    before = model.encode().views
    with torch.no_grad():
        model.features.rows[:, : data["item"]["image"].shape[1]] += 1
    after = model.encode().views
    assert torch.equal(after["text"].item, before["text"].item)
    assert not torch.equal(after["image"].item, before["image"].item)


def test_the_features_are_frozen_and_everything_else_learns() -> None:
    model = built()
    sum(model.loss_terms(BATCH).values(), torch.zeros(())).backward()
    assert {name for name, p in model.named_parameters() if p.grad is not None} == {
        "user.weight",
        "item.weight",
        "project.weight",
        "project.bias",
    }
    assert "features.rows" not in model.state_dict()


def test_a_cosine_loss_is_served_by_cosine() -> None:
    embeddings = built(loss=SoftmaxConfig()).encode()
    for x in (embeddings.user, embeddings.item):
        torch.testing.assert_close(x.norm(dim=1), torch.ones(len(x), dtype=torch.float64))


@pytest.mark.parametrize("loss", sorted(RANKING_LOSSES))
def test_conformance_with_each_loss(loss: str) -> None:
    config = VBPRConfig(embedding_dim=8, loss=RANKING_LOSSES.parse(loss))
    check_model(config, tiny_data(modalities=("image", "text", "audio")))


def test_a_modality_named_id_and_none_at_all() -> None:
    with pytest.raises(ConfigError, match="a modality is named 'id', a name that vbpr uses itself"):
        build_model(VBPRConfig(), tiny_data(modalities=("id",)))
    with pytest.raises(ConfigError, match="vbpr needs a modality"):
        build_model(VBPRConfig(), tiny_data(modalities=()))


def test_training_edges_are_not_read() -> None:
    data = tiny_data()
    data[INTERACTS].edge_index = data[INTERACTS].edge_index[:, :1]
    torch.manual_seed(0)
    fewer = build_model(VBPRConfig(embedding_dim=6), data).double().encode()
    torch.testing.assert_close(fewer.item, built().encode().item)
