from __future__ import annotations

import pytest
import torch
from torch import Tensor

from anchorrec_graph.graph.knn import KnnConfig, knn_relation
from anchorrec_graph.nn.features import FeatureTable
from anchorrec_graph.nn.projection import linear_head, mlp_head
from anchorrec_graph.nn.view import ModalityView, ViewStart


def values(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("start", ["gate", "feature", "feature+id"])
@pytest.mark.parametrize("num_layers", [0, 1, 3])
def test_view_equals_its_formula(start: ViewStart, num_layers: int) -> None:
    features, table = values(12, 5), values(12, 4)
    graph = knn_relation(features, KnnConfig(k=3))
    view = ModalityView(5, 4, start, num_layers).double()
    projected = features @ view.project.weight.T + view.project.bias
    if start == "gate":
        gate = 1 / (1 + torch.exp(-(projected @ view.gate.weight.T + view.gate.bias)))
        first = table * gate
    else:
        first = projected + table if start == "feature+id" else projected
    adjacency = graph(torch.eye(12, dtype=torch.float64))
    expected = torch.linalg.matrix_power(adjacency, num_layers) @ first
    torch.testing.assert_close(view(features, table, graph), expected)


def test_heads_are_xavier_uniform() -> None:
    torch.manual_seed(0)
    for layer in (linear_head(300, 200), *mlp_head(300, 200)[::2]):
        limit = (6 / sum(layer.weight.shape)) ** 0.5
        assert 0.99 * limit < float(layer.weight.abs().max().detach()) <= limit
    assert mlp_head(5, 3)(torch.ones(2, 5)).shape == (2, 3)


@pytest.mark.parametrize("trainable", [False, True])
def test_features_are_state_only_if_they_are_trained(trainable: bool) -> None:
    rows = values(3, 2)
    table = FeatureTable(rows, trainable)
    assert torch.equal(table(), rows)
    assert list(table.state_dict()) == (["rows"] if trainable else [])
    if trainable:
        table.rows.data.zero_()
        assert bool(rows.any())  # its own copy
