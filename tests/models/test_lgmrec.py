from __future__ import annotations

import math

import naive
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch_geometric.data import HeteroData

from anchorrec_graph.data.base import INTERACTS
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.losses.ranking import RANKING_LOSSES, SoftmaxConfig
from anchorrec_graph.models import build_model
from anchorrec_graph.models.lgmrec import LGMRec, LGMRecConfig
from anchorrec_graph.nn.backbone import LightGCNBackboneConfig
from anchorrec_graph.testing import check_model, tiny_data
from anchorrec_graph.typing import Batch

BATCH = Batch(torch.tensor([0, 1, 1, 7, 0]), torch.tensor([3, 4, 4, 9, 4]), torch.tensor([8, 0, 5, 3, 1]))
MODALITIES = [("image",), ("image", "text"), ("image", "text", "audio")]
DEPTHS = {
    "published": {},
    "deeper": {
        "backbone": LightGCNBackboneConfig(num_layers=1),
        "num_modality_layers": 1,
        "num_hyper_layers": 3,
        "num_hyperedges": 9,
    },
}


def uneven_data(modalities: tuple[str, ...] = ("image", "text")) -> HeteroData:
    """Four of every seven training edges, so that users have one to four items."""
    data = tiny_data(modalities=modalities)
    edge_index = data[INTERACTS].edge_index
    data[INTERACTS].edge_index = edge_index[:, torch.arange(edge_index.shape[1]) % 7 < 4]
    return data


def built(modalities: tuple[str, ...] = ("image", "text"), **settings: object) -> LGMRec:
    torch.manual_seed(0)
    model = build_model(LGMRecConfig(embedding_dim=6, **settings), uneven_data(modalities))
    assert isinstance(model, LGMRec)
    return model.double()


def interactions() -> tuple[Tensor, Tensor]:
    """R and the normalised adjacency, dense."""
    matrix = torch.zeros(20, 24, dtype=torch.float64)
    for u, i in uneven_data()[INTERACTS].edge_index.T.tolist():
        matrix[u, i] = 1
    adjacency = torch.cat(
        [torch.cat([torch.zeros(20, 20), matrix], 1), torch.cat([matrix.T, torch.zeros(24, 24)], 1)]
    )
    scale = adjacency.sum(1).clamp(min=1).rsqrt()
    return matrix, scale[:, None] * adjacency * scale


def memberships(model: LGMRec, logits: dict[str, Tensor], seed: int | None) -> dict[str, Tensor]:
    """H of users and items, with what training draws after `seed`, or without draws."""
    config, found = model.config, {}
    if seed is not None:
        torch.manual_seed(seed)
    for m, x in logits.items():
        noise, mask = torch.zeros_like(x), torch.ones_like(x)
        if seed is not None:
            noise = -torch.empty_like(x).exponential_().log()
            mask = functional.dropout(mask, config.dropout)
        rows = []
        for row in (x + noise) / config.temperature:
            e = (row - row.max()).exp()
            rows.append(e / e.sum())
        found[m] = torch.stack(rows) * mask
    return found


def twin(model: LGMRec, seed: int | None = None) -> tuple[Tensor, dict[str, Tensor]]:
    """F [U + I, d] and Q by modality, from dense matrices."""
    config, (matrix, adjacency) = model.config, interactions()
    layers = [torch.cat([model.user.weight, model.item.weight])]
    for _ in range(config.backbone.num_layers):
        layers.append(adjacency @ layers[-1])
    final = content = sum(layers) / len(layers)
    logits = {}
    for m in model.features:
        x = model.features[m]()
        item = model.project[m](x)
        nodes = torch.cat([matrix @ item / matrix.sum(1, keepdim=True).clamp(min=1), item])
        final = final + unit(torch.linalg.matrix_power(adjacency, config.num_modality_layers) @ nodes)
        item = model.hyperedges[m](x)
        logits[m] = torch.cat([matrix @ item, item])
    hyper = {}
    for m, membership in memberships(model, logits, seed).items():
        item = content[20:]
        for _ in range(config.num_hyper_layers):
            nodes = membership @ (membership[20:].T @ item)
            item = nodes[20:]
        hyper[m] = nodes
    return final + config.global_weight * unit(sum(hyper.values())), hyper


def unit(x: Tensor) -> Tensor:
    return functional.normalize(x, dim=1)


def contrast(hyper: dict[str, Tensor], temperature: float) -> Tensor:
    """The sum over the batch, mean over the pairs of modalities."""
    tables, values = list(hyper.values()), []
    for second in range(len(tables)):
        for first in range(second):
            total = torch.zeros(())
            for ids, part in ((BATCH.users, slice(0, 20)), (BATCH.positive_items, slice(20, 44))):
                query, key = unit(tables[first][part]), unit(tables[second][part])
                for i in ids.tolist():
                    e = (key @ query[i] / temperature).exp()
                    total = total - (e[i] / e.sum()).log()
            values.append(total)
    return sum(values) / len(values)


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("modalities", MODALITIES, ids="+".join)
def test_embeddings_loss_and_gradients_equal_the_dense_twin(modalities: tuple[str, ...], depth: str) -> None:
    weights = {"contrast_weight": 0.3, "l2_weight": 0.1, "temperature": 0.5, "global_weight": 0.7}
    model = built(modalities, **weights, **DEPTHS[depth])
    embeddings = model.encode()
    torch.testing.assert_close(torch.cat([embeddings.user, embeddings.item]), twin(model)[0])

    torch.manual_seed(3)
    found = model.loss_terms(BATCH)
    final, hyper = twin(model, seed=3)
    expected = {"ranking": model.config.loss.loss(final[:20], final[20:], BATCH)}
    blocks = [final[BATCH.users], final[20:][BATCH.positive_items], final[20:][BATCH.negative_items]]
    expected["l2"] = 0.1 * sum(block.square().sum().sqrt() for block in blocks) / 5
    if len(modalities) > 1:
        expected["contrast"] = 0.3 * contrast(hyper, 0.5)
    assert found.keys() == expected.keys()
    parameters = list(model.parameters())
    for name, term in expected.items():
        torch.testing.assert_close(found[name], term)
        mine, other = (
            torch.autograd.grad(x, parameters, retain_graph=True, materialize_grads=True)
            for x in (found[name], term)
        )
        for gradient, twins in zip(mine, other, strict=True):
            largest = float(twins.abs().max())  # the graph's weights are float32
            torch.testing.assert_close(gradient, twins, rtol=0, atol=1e-6 * largest)


def test_terms_equal_the_loops_of_other_losses() -> None:
    model = built(l2_weight=0.1)
    torch.manual_seed(3)
    found = model.loss_terms(BATCH)
    final = twin(model, seed=3)[0].detach().numpy()
    users, positives, negatives = (ids.tolist() for ids in BATCH)
    blocks = [final[users], final[20:][positives], final[20:][negatives]]
    assert float(found["ranking"].detach()) == pytest.approx(naive.bpr(*blocks))
    assert float(found["l2"].detach()) == pytest.approx(0.1 * naive.norm_penalty(blocks))


def test_the_noise_is_gumbel_and_evaluation_has_none() -> None:
    model = built(dropout=0, temperature=0.5)
    logits = torch.tensor([0.3, 0.0, -1.0], dtype=torch.float64).expand(20000, 3)
    torch.manual_seed(0)
    drawn = model.membership(logits, drawn=True)
    chosen = drawn.argmax(1).bincount() / len(
        drawn
    )  # the largest of logits with Gumbel noise has their softmax
    np.testing.assert_allclose(chosen, logits[0].softmax(0), atol=0.02)
    e = [math.exp(x / 0.5) for x in (0.3, 0.0, -1.0)]
    expected = torch.tensor([x / sum(e) for x in e], dtype=torch.float64)
    torch.testing.assert_close(model.membership(logits, drawn=False)[7], expected)


def test_training_draws_anew_and_evaluation_does_not() -> None:
    model = built()
    first, second = (model.loss_terms(BATCH)["contrast"] for _ in range(2))
    assert not torch.equal(first, second)
    assert torch.equal(model.encode().item, model.encode().item)
    assert torch.equal(model.train().encode().item, model.eval().encode().item)


def test_nodes_that_dropout_takes_out_of_all_hyperedges_stay_finite() -> None:
    model = built(dropout=0.95)
    terms = model.loss_terms(BATCH)
    for gradient in torch.autograd.grad(sum(terms.values()), list(model.parameters())):
        assert bool(torch.isfinite(gradient).all())
    assert bool((model.propagate(drawn=True).hyper["image"].nodes() == 0).all(1).any())


def test_the_views_are_id_each_modality_and_what_is_global() -> None:
    model = built(("text", "audio"), global_weight=0.4)
    embeddings = model.encode()
    assert list(embeddings.views) == ["id", "text", "audio", "global"]
    length = embeddings.views["global"].user.norm(dim=1)
    torch.testing.assert_close(length, torch.full_like(length, 0.4))
    length = embeddings.views["text"].item.norm(dim=1)
    torch.testing.assert_close(length, (interactions()[0].sum(0) > 0).double())


@pytest.mark.parametrize(
    "settings",
    [
        {"backbone": LightGCNBackboneConfig(num_layers=1)},
        {"num_modality_layers": 1},
        {"num_hyperedges": 3},
        {"num_hyper_layers": 2},
        {"global_weight": 0.5},
        {"temperature": 0.5},
    ],
    ids=lambda s: next(iter(s)),
)
def test_each_setting_of_the_embeddings_changes_the_items(settings: dict[str, object]) -> None:
    assert not torch.allclose(built(**settings).encode().item, built().encode().item)


def test_no_contrast_without_weight_or_a_second_modality() -> None:
    assert "contrast" in built().loss_terms(BATCH)
    for model in (built(contrast_weight=0), built(("image",))):
        assert set(model.loss_terms(BATCH)) == {"ranking", "l2"}


def test_features_are_frozen() -> None:
    assert not [name for name in built().state_dict() if name.startswith("features")]


def test_a_cosine_loss_is_served_by_cosine() -> None:
    embeddings = built(loss=SoftmaxConfig()).encode()
    for x in (embeddings.user, embeddings.item):
        torch.testing.assert_close(x.norm(dim=1), torch.ones(len(x), dtype=torch.float64))


@pytest.mark.parametrize("loss", sorted(RANKING_LOSSES))
@pytest.mark.parametrize("modalities", MODALITIES, ids="+".join)
def test_any_ranking_loss_and_modalities_keep_the_rules(modalities: tuple[str, ...], loss: str) -> None:
    config = LGMRecConfig(embedding_dim=8, num_hyperedges=9, loss=RANKING_LOSSES.parse(loss))
    check_model(config, tiny_data(modalities=modalities))


def test_names_of_other_views_and_no_modality_are_refused() -> None:
    for name in ("id", "global"):
        with pytest.raises(
            ConfigError, match=f"a modality is named '{name}', a name that lgmrec uses itself"
        ):
            built(("image", name))
    with pytest.raises(ConfigError, match="lgmrec needs a modality"):
        built(())
