from __future__ import annotations

from collections.abc import Iterator

import naive
import numpy as np
import pytest
import torch
from example_backbones import GATConfig, examples_registered
from torch.nn import functional

from anchorrec_graph.data.base import INTERACTS
from anchorrec_graph.losses.ranking import RANKING_LOSSES, SoftmaxConfig
from anchorrec_graph.models import MODELS, build_model
from anchorrec_graph.models.lightgcn import LightGCN, LightGCNConfig
from anchorrec_graph.nn.backbone import LightGCNBackboneConfig
from anchorrec_graph.testing import tiny_data
from anchorrec_graph.typing import Batch

BATCH = Batch(torch.tensor([0, 1, 1, 7]), torch.tensor([3, 4, 4, 9]), torch.tensor([8, 0, 5, 3]))


@pytest.fixture(autouse=True)
def _examples() -> Iterator[None]:
    with examples_registered():
        yield


def built(**settings: object) -> LightGCN:
    torch.manual_seed(0)
    model = build_model(LightGCNConfig(embedding_dim=6, **settings), tiny_data())
    assert isinstance(model, LightGCN)
    return model.double()


@pytest.mark.parametrize("num_layers", [0, 1, 3])
def test_embeddings_and_loss_equal_the_loops(num_layers: int) -> None:
    model = built(backbone=LightGCNBackboneConfig(num_layers=num_layers), l2_weight=0.1)
    pairs = [tuple(pair) for pair in tiny_data()[INTERACTS].edge_index.T.tolist()]
    user, item = (table.weight.detach().numpy() for table in (model.user, model.item))
    expected = naive.lightgcn(pairs, user, item, num_layers)
    embeddings = model.encode()
    found = torch.cat([embeddings.user, embeddings.item]).detach().numpy()
    np.testing.assert_allclose(found, expected, atol=1e-7)  # edge weights are float32

    users, positives, negatives = (ids.tolist() for ids in BATCH)
    final_user, final_item = expected[: len(user)], expected[len(user) :]
    terms = {name: float(term.detach()) for name, term in model.loss_terms(BATCH).items()}
    ranking = naive.bpr(final_user[users], final_item[positives], final_item[negatives])
    penalty = naive.norm_penalty([user[users], item[positives], item[negatives]])
    assert terms == pytest.approx({"ranking": ranking, "l2": 0.1 * penalty}, rel=1e-7)


def test_a_cosine_loss_is_served_by_cosine() -> None:
    model = built(loss=SoftmaxConfig())
    user, item = model.propagate()
    scores = model.encode().scores(torch.arange(3))
    torch.testing.assert_close(scores, functional.normalize(user[:3]) @ functional.normalize(item).T)


@pytest.mark.parametrize("loss", sorted(RANKING_LOSSES))
@pytest.mark.parametrize("backbone", [LightGCNBackboneConfig(), GATConfig(heads=3)], ids=lambda c: c.name)
def test_any_backbone_and_loss_survive_yaml(backbone: object, loss: str) -> None:
    config = LightGCNConfig(backbone=backbone, loss=RANKING_LOSSES.parse(loss))
    assert MODELS.parse(config.model_dump(mode="json")) == config


def test_a_backbone_by_name_and_an_unknown_one() -> None:
    config = MODELS.parse({"name": "lightgcn", "backbone": "gat"})
    assert config.backbone == GATConfig()
    with pytest.raises(ValueError, match="unknown backbone 'lightgc'; did you mean 'lightgcn'"):
        MODELS.parse({"name": "lightgcn", "backbone": {"name": "lightgc"}})
