"""Adam on dense parameters, and by row on tables with sparse gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from anchorrec_graph.train.optimizer import AdamOfModel
from anchorrec_graph.train.row_adam import ROWS, RowAdam


class Table(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table, self.head = nn.Embedding(6, 3), nn.Linear(3, 1)

    def forward(self, ids: Tensor) -> Tensor:
        loss: Tensor = self.head(self.table(ids)).square().sum()
        return loss


def steps(model: Table, optimizer: AdamOfModel, batches: list[list[int]]) -> None:
    for ids in batches:
        optimizer.zero_grad()
        model(torch.tensor(ids)).backward()
        optimizer.step()


def test_dense_is_adam() -> None:
    ours, theirs = Table(), Table()
    steps(ours, AdamOfModel(ours, 0.1, sparse=False), [[0, 1], [1, 5]])
    adam = torch.optim.Adam(theirs.parameters(), lr=0.1, fused=True)
    for ids in ([0, 1], [1, 5]):
        adam.zero_grad()
        theirs(torch.tensor(ids)).backward()
        adam.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(a, b)


def test_by_row_a_table_moves_where_a_batch_reaches_it() -> None:
    model = Table()
    before = model.table.weight.detach().clone()
    optimizer = AdamOfModel(model, 0.1, sparse=True)
    steps(model, optimizer, [[0, 1]])
    first = model.table.weight.detach().clone()
    moved = (first != before).any(1)
    assert moved.tolist() == [True, True, False, False, False, False]
    steps(model, optimizer, [[2]])
    assert torch.equal(model.table.weight[:2], first[:2])  # dense Adam would move them on by their momentum


def test_where_every_row_is_reached_by_row_is_dense() -> None:
    dense, by_row = Table(), Table()
    everything = [[0, 1, 2, 3, 4, 5]] * 3
    steps(dense, AdamOfModel(dense, 0.1, sparse=False), everything)
    steps(by_row, AdamOfModel(by_row, 0.1, sparse=True), everything)
    torch.testing.assert_close(by_row.table.weight, dense.table.weight)
    torch.testing.assert_close(by_row.head.weight, dense.head.weight)


def test_by_row_the_steps_are_those_of_sparse_adam() -> None:
    torch.manual_seed(0)
    rows = torch.randn(ROWS + 900, 3)
    ours, theirs = nn.Parameter(rows.clone()), nn.Parameter(rows.clone())
    by_row, sparse_adam = RowAdam([ours], 0.1), torch.optim.SparseAdam([theirs], lr=0.1)
    for _ in range(4):
        index = torch.randint(len(rows), (1, len(rows)))  # some rows twice, some never, more than a block
        gradient = torch.sparse_coo_tensor(
            index, torch.randn(len(rows), 3), rows.shape, check_invariants=True
        )
        for table, optimizer in ((ours, by_row), (theirs, sparse_adam)):
            table.grad = gradient.clone()
            optimizer.step()
    assert (ours == rows).all(1).any()
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    for name, moment in sparse_adam.state[theirs].items():
        torch.testing.assert_close(by_row.state[ours][name], moment)


def test_by_row_a_gradient_may_be_empty_but_not_dense() -> None:
    table = nn.Parameter(torch.randn(5, 3))
    before, optimizer = table.detach().clone(), RowAdam([table], 0.1)
    table.grad = torch.sparse_coo_tensor(torch.empty(1, 0), torch.empty(0, 3), (5, 3), check_invariants=True)
    optimizer.step()
    assert torch.equal(table, before)
    table.grad = torch.ones(5, 3)
    with pytest.raises(ValueError, match=r"dense gradient, because the model reads it as a whole"):
        optimizer.step()


def test_it_goes_on_from_its_state_with_the_same_bits() -> None:
    one, two = Table(), Table()
    first = AdamOfModel(one, 0.1, sparse=True)
    steps(one, first, [[0, 1], [3, 3]])
    second = AdamOfModel(two, 0.1, sparse=True)
    two.load_state_dict(one.state_dict())
    second.load({name: value.clone() for name, value in first.state().items()})
    for model, optimizer in ((one, first), (two, second)):
        steps(model, optimizer, [[1, 4], [0]])
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        assert torch.equal(a, b)
