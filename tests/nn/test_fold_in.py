"""Users made from their items: equal to training's, but for what was their own."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from anchorrec_graph.errors import ConfigError
from anchorrec_graph.graph.bipartite import train_graph
from anchorrec_graph.models import build_model
from anchorrec_graph.models.alignrec import AlignRecConfig
from anchorrec_graph.models.anchorrec import AnchorRecConfig
from anchorrec_graph.models.base import Recommender
from anchorrec_graph.models.freedom import FREEDOMConfig
from anchorrec_graph.models.lightgcn import LightGCNConfig
from anchorrec_graph.models.vbpr import VBPRConfig
from anchorrec_graph.nn.history import HistoryConfig
from anchorrec_graph.testing import tiny_data

DATA = tiny_data()
USERS = range(6)
SETTINGS: list[Any] = [
    AnchorRecConfig(embedding_dim=8, history=HistoryConfig(weight=3.0, dim=6)),
    AnchorRecConfig(embedding_dim=8, popularity_weight=0, history=HistoryConfig(), num_knn_layers=2),
    LightGCNConfig(embedding_dim=8),
    FREEDOMConfig(embedding_dim=8),
    AlignRecConfig(embedding_dim=8),
]


def built(config: Any, *without: int) -> Recommender:
    """A model whose rows of these users are zero."""
    torch.manual_seed(0)
    model = build_model(config, DATA).eval()
    with torch.no_grad():
        model.user.weight[list(without)] = 0
    return model


def bought(user: int) -> torch.Tensor:
    edge_index = train_graph(DATA)[0]
    return edge_index[1, edge_index[0] == user].sort().values


@pytest.mark.parametrize("config", SETTINGS, ids=lambda config: config.name)
def test_a_user_without_a_row_of_their_own_is_the_sum_of_what_they_bought(config: Any) -> None:
    for user in USERS:
        model = built(config, user)
        with torch.no_grad():
            views, parts = model.encode().views, model.fold_in().parts(bought(user))
        for name, view in views.items():
            if view.user is not None:
                torch.testing.assert_close(parts[name].sum(0), view.user[user], atol=1e-6, rtol=1e-5)


def test_a_trained_user_is_divided_by_the_length_of_training() -> None:
    model = built(SETTINGS[0])
    with torch.no_grad():
        fold, trained = model.fold_in(), model.user_parts(2, bought(2))
        found = fold.parts(bought(2), user=2)
    for name, rows in trained.items():
        torch.testing.assert_close(found[name][1:], rows[1:], atol=1e-6, rtol=1e-5)


def test_a_stranger_who_bought_nothing_has_only_what_everyone_has() -> None:
    with torch.no_grad():
        parts = built(SETTINGS[0]).fold_in().parts(torch.empty(0, dtype=torch.long))
    assert {name: bool(rows.any()) for name, rows in parts.items()} == {
        name: name == "popularity" for name in parts
    }


def test_a_model_with_free_users_refuses() -> None:
    with pytest.raises(ConfigError, match="VBPR does not say how a user is made from items alone"):
        build_model(VBPRConfig(embedding_dim=8), DATA).fold_in()
