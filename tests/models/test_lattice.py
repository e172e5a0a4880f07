from __future__ import annotations

from pathlib import Path

import naive
import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torch.nn import functional

from anchorrec_graph.errors import ConfigError
from anchorrec_graph.graph.knn import KnnConfig, knn_edges
from anchorrec_graph.losses.ranking import RANKING_LOSSES
from anchorrec_graph.models import build_model, lattice
from anchorrec_graph.models.lattice import LATTICE, LATTICEConfig
from anchorrec_graph.nn.backbone import LightGCNBackboneConfig
from anchorrec_graph.testing import check_model, tiny_data
from anchorrec_graph.testing.reference import check_file
from anchorrec_graph.train.trainer import deterministic
from anchorrec_graph.typing import Batch

REFERENCE = Path(__file__).parents[1] / "data" / "reference" / "lattice.npz"
BATCH = Batch(torch.tensor([0, 1, 1, 7]), torch.tensor([3, 4, 4, 9]), torch.tensor([8, 0, 5, 3]))
MODALITIES = [("image",), ("image", "text"), ("image", "text", "audio")]
GRAPH_PARAMETERS = ("modality_logits", "features.", "project.")
K = 4


def built(modalities: tuple[str, ...] = ("image", "text"), **settings: object) -> LATTICE:
    torch.manual_seed(0)
    knn = KnnConfig(k=K, include_self=True, drop_negative=False)
    config = LATTICEConfig(**({"embedding_dim": 6, "projection_dim": 5, "knn": knn} | settings))
    model = build_model(config, tiny_data(modalities=modalities))
    assert isinstance(model, LATTICE)
    with torch.no_grad():
        model.modality_logits.copy_(torch.linspace(-1, 1, len(modalities)))
    return model.double()


def nearest(x: Tensor) -> Tensor:
    """The n x n cosines of which each row keeps its K largest; a row of zeros keeps none."""
    unit = functional.normalize(x)
    cosine = unit @ unit.T
    kept, value = torch.zeros_like(cosine), cosine.detach()
    for row in range(len(x)):
        if bool(x[row].any()):
            candidates = [column for column in range(len(x)) if bool(x[column].any())]
            candidates.sort(key=lambda column: -float(value[row, column]))
            kept[row, candidates[:K]] = 1
    return cosine * kept


def normalised(matrix: Tensor) -> Tensor:
    degree = matrix.sum(1)
    scale = torch.where(degree > 0, degree.clamp(min=1e-30) ** -0.5, 0.0)
    return scale.unsqueeze(1) * matrix * scale


def twin_graph(model: LATTICE) -> Tensor:
    """A as an n x n matrix; the features still have their initial values."""
    share = model.modality_logits.exp() / model.modality_logits.exp().sum()
    features = [model.features[m]() for m in model.features]
    native = sum(s * normalised(nearest(x.detach())) for s, x in zip(share, features, strict=True))
    projected = [model.project[m](x) for m, x in zip(model.features, features, strict=True)]
    learned = normalised(sum(s * nearest(z) for s, z in zip(share, projected, strict=True)))
    return model.config.native_share * native + (1 - model.config.native_share) * learned


def twin(model: LATTICE) -> tuple[Tensor, Tensor]:
    """Final users and items."""
    num_users, num_items = model.num_users, model.item.num_embeddings
    adjacency = torch.eye(num_users + num_items, dtype=torch.float64)
    for user, item in tiny_data()["user", "interacts", "item"].edge_index.T.tolist():
        adjacency[user, num_users + item] = adjacency[num_users + item, user] = 1
    adjacency = adjacency / adjacency.sum(1, keepdim=True)
    x = torch.cat([model.user.weight, model.item.weight])
    total, hop = x, x
    for _ in range(model.config.backbone.num_layers):
        hop = adjacency @ hop
        total = total + hop
    x = total / (model.config.backbone.num_layers + 1)
    h = model.item.weight
    for _ in range(model.config.num_knn_layers):
        h = twin_graph(model) @ h
    return x[:num_users], x[num_users:] + functional.normalize(h)


def test_golden_numbers() -> None:
    assert check_file(REFERENCE).passed


@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("modalities", MODALITIES, ids="+".join)
def test_scores_loss_and_gradients_equal_the_dense_twin(modalities: tuple[str, ...], num_layers: int) -> None:
    model = built(
        modalities, num_knn_layers=num_layers, native_share=0.6, l2_weight=0.1, l2_batch_size=7,
        backbone=LightGCNBackboneConfig(num_layers=num_layers),
    )  # fmt: skip
    user, item = twin(model)
    embeddings = model.encode()
    torch.testing.assert_close(embeddings.user, user, atol=1e-6, rtol=0)  # fixed weights are float32
    torch.testing.assert_close(embeddings.item, item, atol=1e-6, rtol=0)
    blocks = [user[BATCH.users], item[BATCH.positive_items], item[BATCH.negative_items]]
    terms = model.loss_terms(BATCH)
    rows = [block.detach().numpy() for block in blocks]
    assert {name: float(term.detach()) for name, term in terms.items()} == pytest.approx(
        {"ranking": naive.bpr(*rows), "l2": 0.1 * naive.squared_norm_penalty(rows, 7)}, rel=1e-6
    )
    penalty = sum(block.square().sum() for block in blocks)
    loss = model.config.loss.loss(user, item, BATCH) + 0.1 / 14 * penalty
    parameters = list(model.parameters())
    found = torch.autograd.grad(terms["ranking"] + terms["l2"], parameters)
    for gradient, expected in zip(found, torch.autograd.grad(loss, parameters), strict=True):
        torch.testing.assert_close(gradient, expected, atol=1e-6, rtol=1e-5)


def reached(model: LATTICE) -> set[str]:
    """The parameters that the next batch gives a gradient."""
    model.zero_grad()
    sum(model.loss_terms(BATCH).values(), torch.zeros(())).backward()
    return {name for name, p in model.named_parameters() if p.grad is not None and bool(p.grad.any())}


def test_the_first_batch_of_an_epoch_teaches_the_graph_and_the_others_use_it() -> None:
    model = built()
    every, tables = set(dict(model.named_parameters())), {"user.weight", "item.weight"}
    for _ in range(2):
        model.start_epoch(torch.Generator())
        assert reached(model) == every
        assert reached(model) == reached(model) == tables
    before = {name: float(term.detach()) for name, term in model.loss_terms(BATCH).items()}
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.startswith(GRAPH_PARAMETERS):
                parameter.copy_(torch.randn_like(parameter))
    assert before == {name: float(term.detach()) for name, term in model.loss_terms(BATCH).items()}
    model.start_epoch(torch.Generator())
    assert float(model.loss_terms(BATCH)["ranking"].detach()) != before["ranking"]


def test_evaluation_uses_the_graph_of_the_current_parameters() -> None:
    model, other = built(), built()
    model.loss_terms(BATCH)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    other.load_state_dict(model.state_dict())
    assert torch.equal(model.encode().item, other.encode().item)
    assert not torch.equal(model.encode().item, built().encode().item)


def test_the_first_and_the_later_batches_have_the_same_loss_bit_for_bit() -> None:
    model = built().float()
    with deterministic():
        first, second = (model.loss_terms(BATCH)["ranking"] for _ in range(2))
        first.backward()
    assert torch.equal(first, second)


def test_neighbours_are_searched_once_for_the_same_projections(monkeypatch: pytest.MonkeyPatch) -> None:
    searched = []
    monkeypatch.setattr(lattice, "knn_edges", lambda *args: searched.append(args) or knn_edges(*args))
    model = built()
    model.encode()
    model.loss_terms(BATCH)
    assert len(searched) == 2
    with torch.no_grad():
        model.project["text"].weight.neg_().add_(1)
    model.encode()
    assert len(searched) == 3


def test_an_edge_is_stored_once() -> None:
    graph = built(MODALITIES[2]).item_graph()
    pairs = graph.edge_index.T.tolist()
    assert len({tuple(pair) for pair in pairs}) == len(pairs)
    assert len(pairs) < 2 * 3 * K * 24


def test_the_whole_share_gives_the_native_graph() -> None:
    model = built(("image",), native_share=1.0)
    eye = torch.eye(24, dtype=torch.float64)
    torch.testing.assert_close(model.item_graph()(eye), model.native_graphs["image"](eye))


def test_the_views_are_id_and_structure() -> None:
    model = built()
    user, item, structure = model.propagate(model.item_graph())
    views = model.encode().views
    assert list(views) == ["id", "structure"]
    assert torch.equal(views["id"].user, user)
    assert torch.equal(views["id"].item, item)
    assert views["structure"].user is None
    torch.testing.assert_close(views["structure"].item, structure)
    np.testing.assert_allclose(structure.norm(dim=1).detach().numpy(), 1)


@pytest.mark.parametrize("loss", sorted(RANKING_LOSSES))
def test_conformance_with_each_loss(loss: str) -> None:
    check_model(LATTICEConfig(embedding_dim=8, loss=RANKING_LOSSES.parse(loss)))


@pytest.mark.parametrize("modalities", MODALITIES, ids="+".join)
def test_conformance_with_frozen_features(modalities: tuple[str, ...]) -> None:
    config = LATTICEConfig(embedding_dim=8, trainable_features=False, num_knn_layers=2, knn=KnnConfig(k=3))
    check_model(config, tiny_data(modalities=modalities))


def test_settings_and_data_that_do_not_fit() -> None:
    with pytest.raises(ValidationError, match="'binary' gives the learned graph no gradient; use 'cosine'"):
        LATTICEConfig(knn=KnnConfig(weight="binary"))
    with pytest.raises(ConfigError, match="lattice needs a modality"):
        build_model(LATTICEConfig(), tiny_data(modalities=()))
