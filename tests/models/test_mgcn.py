from __future__ import annotations

from pathlib import Path

import naive
import numpy as np
import pytest
import torch
from torch import Tensor

from anchorrec_graph.errors import ConfigError
from anchorrec_graph.graph.knn import KnnConfig
from anchorrec_graph.losses.ranking import RANKING_LOSSES, SoftmaxConfig
from anchorrec_graph.models import build_model
from anchorrec_graph.models.mgcn import MGCN, MGCNConfig
from anchorrec_graph.nn.backbone import LightGCNBackboneConfig
from anchorrec_graph.testing import check_model, tiny_data
from anchorrec_graph.testing.reference import check_file
from anchorrec_graph.typing import Batch

REFERENCE = Path(__file__).parents[1] / "data" / "reference" / "mgcn.npz"
BATCH = Batch(torch.tensor([0, 1, 1, 7, 0]), torch.tensor([3, 4, 4, 9, 4]), torch.tensor([8, 0, 5, 3, 1]))
MODALITIES = [("image",), ("image", "text"), ("image", "text", "audio")]


def built(modalities: tuple[str, ...] = ("image", "text"), **settings: object) -> MGCN:
    torch.manual_seed(0)
    model = build_model(MGCNConfig(embedding_dim=6, **settings), tiny_data(modalities=modalities))
    assert isinstance(model, MGCN)
    return model.double()


def dense(relation: torch.nn.Module) -> Tensor:
    """The matrix of a relation."""
    return relation(torch.eye(relation.size[1], dtype=torch.float64))


def twin(model: MGCN) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """C and S of users, then of items, row by row from the equations, for two user-item layers."""
    adjacency = dense(model.user_item)
    x = torch.cat([model.user.weight, model.item.weight])
    content = (x + adjacency @ x + adjacency @ adjacency @ x) / 3
    views = {}
    for m, view in model.views.items():
        gate = torch.sigmoid(view.gate(view.project(model.features[m]())))
        item = dense(model.item_graphs[m]) @ (model.item.weight * gate)
        views[m] = torch.cat([dense(model.user_from_item) @ item, item])
    sides = []
    for row in range(len(x)):
        logits = torch.stack([model.attention(q[row]).squeeze() for q in views.values()])
        share = logits.exp() / logits.exp().sum()
        common = sum(s * q[row] for s, q in zip(share, views.values(), strict=True))
        total = common
        for m, q in views.items():
            total = total + torch.sigmoid(model.preference[m](content[row])) * (q[row] - common)
        sides.append(total / (len(views) + 1))
    side, num_users = torch.stack(sides), model.num_users
    return content[:num_users], side[:num_users], content[num_users:], side[num_users:]


def test_golden_numbers() -> None:
    assert check_file(REFERENCE).passed


@pytest.mark.parametrize("modalities", MODALITIES, ids="+".join)
def test_embeddings_and_loss_equal_the_loops(modalities: tuple[str, ...]) -> None:
    model = built(modalities, l2_weight=0.1, l2_batch_size=7, align_weight=0.3, temperature=0.5)
    id_user, side_user, id_item, side_item = (x.detach().numpy() for x in twin(model))
    user, item = id_user + side_user, id_item + side_item
    embeddings = model.encode()
    np.testing.assert_allclose(embeddings.user.detach().numpy(), user, atol=1e-12)
    np.testing.assert_allclose(embeddings.item.detach().numpy(), item, atol=1e-12)

    users, positives, negatives = (ids.tolist() for ids in BATCH)
    blocks = [user[users], item[positives], item[negatives]]
    align = naive.info_nce(side_item[positives], id_item[positives], 0.5)
    align += naive.info_nce(side_user[users], id_user[users], 0.5)
    assert {name: float(term.detach()) for name, term in model.loss_terms(BATCH).items()} == pytest.approx(
        {
            "ranking": naive.bpr(*blocks),
            "l2": 0.1 * naive.squared_norm_penalty(blocks, 7),
            "align": 0.3 * align,
        },
        rel=1e-9,
    )


def test_gradients_equal_those_of_the_loops() -> None:
    model = built(("image", "text", "audio"), align_weight=0, l2_weight=0)
    parameters = list(model.parameters())
    found = torch.autograd.grad(model.loss_terms(BATCH)["ranking"], parameters)
    id_user, side_user, id_item, side_item = twin(model)
    loss = model.config.loss.loss(id_user + side_user, id_item + side_item, BATCH)
    for gradient, expected in zip(found, torch.autograd.grad(loss, parameters), strict=True):
        torch.testing.assert_close(gradient, expected)
        assert bool(expected.any())


def test_the_views_are_id_and_each_modality() -> None:
    model = built(("text", "audio"))
    embeddings = model.encode()
    assert list(embeddings.views) == ["id", "text", "audio"]
    id_user, _, id_item, _ = twin(model)
    torch.testing.assert_close(embeddings.views["id"].user, id_user)
    torch.testing.assert_close(embeddings.views["id"].item, id_item)


def test_one_modality_makes_attention_and_preference_idle() -> None:
    model = built(("image",))
    _, _, _, item_views = model.propagate()
    torch.testing.assert_close(model.encode().views["image"].item, item_views[:, 0] / 2)


def test_equal_views_are_all_common_and_none_is_preferred() -> None:
    model = built()
    views = torch.randn(5, 1, 6, dtype=torch.float64).expand(5, 2, 6)
    content = torch.randn(5, 6, dtype=torch.float64)
    torch.testing.assert_close(model.mix(content, views).sum(1), views[:, 0] / 3)


@pytest.mark.parametrize(
    "settings",
    [
        {"backbone": LightGCNBackboneConfig(num_layers=1)},
        {"knn": KnnConfig(k=2)},
        {"num_knn_layers": 2},
    ],
    ids=lambda s: next(iter(s)),
)
def test_each_setting_of_the_graphs_changes_the_items(settings: dict[str, object]) -> None:
    assert not torch.allclose(built(**settings).encode().item, built().encode().item)


def test_frozen_features_are_no_parameters() -> None:
    names = {f"features.{m}.rows" for m in ("image", "text")}
    assert names <= set(built().state_dict())
    assert names.isdisjoint(built(trainable_features=False).state_dict())


def test_a_cosine_loss_is_served_by_cosine() -> None:
    embeddings = built(loss=SoftmaxConfig()).encode()
    for x in (embeddings.user[:19], embeddings.item[:23]):  # the last ones have no edges
        torch.testing.assert_close(x.norm(dim=1), torch.ones(len(x), dtype=torch.float64))


@pytest.mark.parametrize("loss", sorted(RANKING_LOSSES))
def test_the_loss_ranks_by_the_scores_that_are_served(loss: str) -> None:
    model = built(loss=RANKING_LOSSES.parse(loss))
    embeddings = model.encode()
    served = model.config.loss.loss(embeddings.user, embeddings.item, BATCH)
    torch.testing.assert_close(model.loss_terms(BATCH)["ranking"], served)
    check_model(model.config, tiny_data(modalities=("image", "text", "audio")))


def test_a_modality_named_id_and_none_at_all() -> None:
    with pytest.raises(ConfigError, match="a modality is named 'id', a name that mgcn uses itself"):
        build_model(MGCNConfig(), tiny_data(modalities=("id",)))
    with pytest.raises(ConfigError, match="mgcn needs a modality"):
        build_model(MGCNConfig(), tiny_data(modalities=()))
