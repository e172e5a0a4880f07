from __future__ import annotations

from pathlib import Path

import naive
import numpy as np
import pytest
import torch
from torch import Tensor

from anchorrec_graph.errors import ConfigError
from anchorrec_graph.graph.knn import KnnConfig, knn_relation
from anchorrec_graph.losses.ranking import RANKING_LOSSES, SoftmaxConfig
from anchorrec_graph.models import build_model
from anchorrec_graph.models.smore import SMORE, SMOREConfig
from anchorrec_graph.nn.backbone import LightGCNBackboneConfig
from anchorrec_graph.testing import check_model, tiny_data
from anchorrec_graph.testing.reference import check_file
from anchorrec_graph.typing import Batch

REFERENCE = Path(__file__).parents[1] / "data" / "reference" / "smore.npz"
BATCH = Batch(torch.tensor([0, 1, 1, 7, 0]), torch.tensor([3, 4, 4, 9, 4]), torch.tensor([8, 0, 5, 3, 1]))
MODALITIES = [("image",), ("image", "text"), ("image", "text", "audio")]


def built(modalities: tuple[str, ...] = ("image", "text"), **settings: object) -> SMORE:
    torch.manual_seed(0)
    config = SMOREConfig(**{"embedding_dim": 6, "dropout": 0, **settings})
    model = build_model(config, tiny_data(modalities=modalities))
    assert isinstance(model, SMORE)
    return model.double()


def dense(relation: torch.nn.Module) -> Tensor:
    """The matrix of a relation."""
    return relation(torch.eye(relation.size[1], dtype=torch.float64))


def twin(model: SMORE) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """C and S of users, then of items, row by row from the equations, for one hop in the item graphs."""
    adjacency = dense(model.user_item)
    layers = [torch.cat([model.user.weight, model.item.weight])]
    for _ in range(model.config.backbone.num_layers):
        layers.append(adjacency @ layers[-1])
    content = sum(layers) / len(layers)
    names, dim = list(model.features), model.config.embedding_dim
    spectra = {m: torch.fft.rfft(model.project[m](model.features[m]())) / dim**0.5 for m in names}
    graphs = {m: dense(model.item_graphs[m]) for m in names}
    fused = torch.ones_like(spectra[names[0]])
    for spectrum in spectra.values():
        fused = fused * spectrum
    present = torch.stack([torch.where(graph != 0, graph, -torch.inf) for graph in graphs.values()])
    graphs["fusion"], spectra["fusion"] = present.amax(0).nan_to_num(neginf=0), fused
    views = {}
    for v, spectrum in spectra.items():
        weight = torch.view_as_complex(model.filters[v].weight)
        filtered = torch.fft.irfft(spectrum * weight, n=dim) * dim**0.5
        item = graphs[v] @ (model.item.weight * torch.sigmoid(model.gates[v](filtered)))
        views[v] = torch.cat([dense(model.user_from_item) @ item, item])
    sides = []
    for row in range(len(content)):
        total = torch.sigmoid(model.preference["fusion"](content[row])) * views["fusion"][row]
        for m in names:
            logits = model.attention[m](views["fusion"][row])
            share = logits.exp() / logits.exp().sum()
            total = total + torch.sigmoid(model.preference[m](content[row])) * share * views[m][row]
        sides.append(total / len(views))
    side, num_users = torch.stack(sides), model.num_users
    return content[:num_users], side[:num_users], content[num_users:], side[num_users:]


def test_golden_numbers() -> None:
    assert check_file(REFERENCE).passed


@pytest.mark.parametrize("dim", [1, 6, 7])
@pytest.mark.parametrize("modalities", MODALITIES, ids="+".join)
def test_embeddings_and_loss_equal_the_loops(modalities: tuple[str, ...], dim: int) -> None:
    weights = {"l2_weight": 0.1, "l2_batch_size": 7, "align_weight": 0.3, "temperature": 0.5}
    model = built(modalities, embedding_dim=dim, **weights)
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


@pytest.mark.parametrize("dim", [6, 7])
def test_gradients_equal_those_of_the_loops(dim: int) -> None:
    model = built(("image", "text", "audio"), embedding_dim=dim)
    parameters = list(model.parameters())
    found = torch.autograd.grad(model.loss_terms(BATCH)["ranking"], parameters)
    id_user, side_user, id_item, side_item = twin(model)
    loss = model.config.loss.loss(id_user + side_user, id_item + side_item, BATCH)
    for gradient, expected in zip(found, torch.autograd.grad(loss, parameters), strict=True):
        torch.testing.assert_close(gradient, expected)
        assert bool(expected.any())


def test_the_views_are_id_each_modality_and_their_fusion() -> None:
    model = built(("text", "audio"))
    embeddings = model.encode()
    assert list(embeddings.views) == ["id", "text", "audio", "fusion"]
    id_user, _, id_item, _ = twin(model)
    torch.testing.assert_close(embeddings.views["id"].user, id_user)
    torch.testing.assert_close(embeddings.views["id"].item, id_item)


def test_dropout_acts_in_training_only() -> None:
    model, without = built(dropout=0.5), built()
    torch.testing.assert_close(model.encode().item, without.encode().item)
    torch.manual_seed(3)
    found = model.loss_terms(BATCH)["ranking"]
    torch.manual_seed(3)
    id_user, id_item, user_views, item_views = model.propagate()
    users, place = BATCH.users.unique(return_inverse=True)
    user = id_user[users] + model.mix(id_user[users], user_views[users], 0.5).sum(1)
    item = id_item + model.mix(id_item, item_views, 0.5).sum(1)
    torch.testing.assert_close(found, model.config.loss.loss(user, item, BATCH._replace(users=place)))
    content, views = torch.zeros(4000, 6).double(), torch.ones(4000, 3, 6).double()
    ratio = (model.mix(content, views, 0.5) / model.mix(content, views)).detach()
    assert sorted(ratio.unique().tolist()) == pytest.approx([0, 2])
    assert float(ratio.mean()) == pytest.approx(1, abs=0.03)


def test_a_modality_has_its_own_number_of_neighbours() -> None:
    model = built(num_neighbours={"text": 3})
    text = tiny_data()["item"]["text"]
    for modality, k in (("image", 10), ("text", 3)):
        graph = model.item_graphs[modality]
        assert graph.weight.numel() == k * (23 if modality == "image" else 24)  # an image row is blank
    expected = knn_relation(text, KnnConfig(k=3, include_self=True, drop_negative=False))
    torch.testing.assert_close(dense(model.item_graphs["text"]), dense(expected))


@pytest.mark.parametrize(
    "settings",
    [
        {"backbone": LightGCNBackboneConfig(num_layers=1)},
        {"knn": KnnConfig(k=2)},
        {"num_neighbours": {"image": 2}},
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


@pytest.mark.parametrize(("modalities", "dim"), [*zip(MODALITIES, [1, 7, 2], strict=True)])
def test_any_modalities_and_dimension_keep_the_rules(modalities: tuple[str, ...], dim: int) -> None:
    check_model(SMOREConfig(embedding_dim=dim), tiny_data(modalities=modalities))


def test_names_that_do_not_fit_the_data_are_refused() -> None:
    for name in ("id", "fusion"):
        with pytest.raises(ConfigError, match=f"a modality is named '{name}', a name that smore uses itself"):
            built(("image", name))
    with pytest.raises(
        ConfigError, match=r"model.num_neighbours: unknown modality 'txt'; did you mean 'text'"
    ):
        built(num_neighbours={"txt": 3})
    with pytest.raises(ConfigError, match="smore needs a modality"):
        built(())
