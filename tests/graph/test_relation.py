from __future__ import annotations

import copy

import naive
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch_geometric.nn import LGConv

from anchorrec_graph.graph.bipartite import (
    bipartite_relation,
    random_walk_relation,
    user_from_item_relation,
)
from anchorrec_graph.graph.normalize import inverse_sqrt, symmetric_weight
from anchorrec_graph.graph.relation import Relation


def random_relation(size: tuple[int, int], num_edges: int, seed: int = 0) -> tuple[Relation, Tensor]:
    """A relation with unsorted and possibly repeated edges, and its dense matrix, in float64."""
    generator = torch.Generator().manual_seed(seed)
    row, column = (torch.randint(n, (num_edges,), generator=generator) for n in size)
    weight = torch.randn(num_edges, generator=generator, dtype=torch.float64)
    dense = torch.zeros(size, dtype=torch.float64).index_put((row, column), weight, accumulate=True)
    return Relation(row, column, weight, size), dense


def values(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("size", [(7, 7), (3, 8), (8, 3), (1, 1)])
def test_product_and_backward_equal_the_dense_ones(size: tuple[int, int]) -> None:
    relation, dense = random_relation(size, 20)
    x, upstream = values(size[1], 4).requires_grad_(), values(size[0], 4)
    y = relation(x)
    y.backward(upstream)
    torch.testing.assert_close(y, dense @ x)
    torch.testing.assert_close(x.grad, dense.T @ upstream)


@pytest.mark.parametrize("size", [(7, 7), (3, 8), (8, 3)])
def test_terms_are_what_a_row_is_the_sum_of(size: tuple[int, int]) -> None:
    relation, dense = random_relation(size, 20)
    x = values(size[1], 4)
    source, target = relation.edge_index
    for row in range(size[0]):
        columns, terms = relation.terms(x, row)
        assert columns.tolist() == sorted(source[target == row].tolist())
        torch.testing.assert_close(terms.sum(0), dense[row] @ x)
        for column in set(columns.tolist()):
            torch.testing.assert_close(terms[columns == column].sum(0), dense[row, column] * x[column])


@pytest.mark.parametrize("size", [(5, 5), (3, 6), (6, 3)])
def test_gradcheck(size: tuple[int, int]) -> None:
    relation, _ = random_relation(size, 9)
    assert torch.autograd.gradcheck(relation, values(size[1], 2).requires_grad_())


@pytest.mark.parametrize("size", [(5, 5), (3, 6), (6, 3)])
def test_gradcheck_of_weights(size: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    row, column = (torch.randint(n, (9,), generator=generator) for n in size)

    def product(weight: Tensor, x: Tensor) -> Tensor:
        relation = Relation(row, column, weight, size)
        y = relation(x)
        return relation(y) if size[0] == size[1] else y

    assert torch.autograd.gradcheck(
        product, (values(9).requires_grad_(), values(size[1], 2).requires_grad_())
    )


def test_the_gradient_of_weights_changes_no_value() -> None:
    relation, _ = random_relation((5, 6), 20)
    before = relation(values(6, 3))
    relation.weight.requires_grad_()
    assert torch.equal(relation(values(6, 3)), before)


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 15), st.integers(0, 9))
def test_product_equals_the_loop(num_rows: int, num_columns: int, num_edges: int, seed: int) -> None:
    relation, _ = random_relation((num_rows, num_columns), num_edges, seed)
    x = values(num_columns, 3)
    column, row = relation.edge_index.tolist()
    expected = naive.propagate(row, column, relation.weight.tolist(), num_rows, x.numpy())
    torch.testing.assert_close(relation(x), torch.from_numpy(expected))


def test_three_forms_agree_on_the_user_item_graph() -> None:
    pairs = torch.tensor([[0, 0, 1, 3, 3], [0, 2, 2, 1, 0]])  # user 2 has no interaction
    relation = bipartite_relation(pairs, num_users=4, num_items=3).double()
    x = values(7, 5)
    convolution = LGConv(normalize=False)(x, relation.edge_index, relation.weight)
    torch.testing.assert_close(relation(x), convolution)
    normalising = LGConv()(x, relation.edge_index)
    torch.testing.assert_close(relation(x), normalising, atol=1e-6, rtol=1e-6)  # weights were float32
    users, items = (part.numpy() for part in (x[:4], x[4:]))
    expected = naive.lightgcn(list(zip(*pairs.tolist(), strict=True)), users, items, num_layers=1)
    torch.testing.assert_close((x + relation(x)) / 2, torch.from_numpy(expected), atol=1e-6, rtol=1e-6)


def test_user_from_item_is_the_upper_right_block() -> None:
    pairs = torch.tensor([[0, 0, 1, 3, 3], [0, 2, 2, 1, 0]])
    whole, block = bipartite_relation(pairs, 4, 3), user_from_item_relation(pairs, 4, 3)
    torch.testing.assert_close(block(torch.eye(3)), whole(torch.eye(7))[:4, 4:])


def test_random_walk_is_the_mean_over_neighbours_and_the_node_itself() -> None:
    pairs = torch.tensor([[0, 0, 1, 3, 3], [0, 2, 2, 1, 0]])  # user 2 has no interaction
    dense = torch.eye(7)
    for user, item in pairs.T.tolist():
        dense[user, 4 + item] = dense[4 + item, user] = 1
    found = random_walk_relation(pairs, 4, 3)(torch.eye(7))
    torch.testing.assert_close(found, dense / dense.sum(1, keepdim=True))
    assert found[2].tolist() == [0, 0, 1, 0, 0, 0, 0]


def test_direction_is_from_column_to_row() -> None:
    relation = Relation(torch.tensor([1]), torch.tensor([0]), torch.ones(1), (2, 2))
    assert relation.edge_index.tolist() == [[0], [1]]  # PyG: source, destination
    assert relation(torch.tensor([[5.0], [7.0]])).tolist() == [[0.0], [5.0]]


def test_deepcopy_and_float64() -> None:
    relation, dense = random_relation((4, 6), 12)
    x = values(6, 2)
    twin = copy.deepcopy(relation)
    torch.testing.assert_close(twin(x), dense @ x)
    twin.weight.zero_()
    torch.testing.assert_close(relation(x), dense @ x)
    single = copy.deepcopy(relation).to(torch.float32)
    assert single(x.float()).dtype == torch.float32
    again = single.to(torch.float64)
    assert again(x).dtype == torch.float64
    assert again.edge_index.dtype == torch.int64
    torch.testing.assert_close(again(x), dense @ x, atol=1e-6, rtol=1e-6)


def test_state_dict_is_empty() -> None:
    assert not random_relation((3, 3), 4)[0].state_dict()


def test_no_edges() -> None:
    relation, _ = random_relation((3, 2), 0)
    assert relation(values(2, 4)).tolist() == [[0.0] * 4] * 3
    assert relation.edge_index.shape == (2, 0)


@pytest.mark.parametrize(("row", "column"), [([3], [0]), ([0], [2]), ([-1], [0]), ([0, 1], [0])])
def test_bad_indices_are_refused(row: list[int], column: list[int]) -> None:
    with pytest.raises(ValueError):
        Relation(torch.tensor(row), torch.tensor(column), torch.ones(1), (3, 2))


def test_smoothness_equals_the_loop() -> None:
    relation, _ = random_relation((6, 6), 14)
    column, row = relation.edge_index.tolist()
    x = values(6, 3)
    expected = naive.smoothness(row, column, relation.weight.tolist(), x.numpy())
    assert float(relation.smoothness(x)) == pytest.approx(expected, rel=1e-12)
    assert torch.autograd.gradcheck(relation.smoothness, x.requires_grad_())


def test_smoothness_of_nearly_equal_rows_keeps_its_digits() -> None:
    relation, _ = random_relation((6, 6), 14)
    column, row = relation.edge_index.tolist()
    x = (100 + 1e-3 * values(6, 3)).float()
    expected = naive.smoothness(row, column, relation.weight.tolist(), x.double().numpy())
    assert float(relation.smoothness(x)) == pytest.approx(expected, rel=1e-4)


def test_smoothness_without_edges_is_zero() -> None:
    assert float(random_relation((3, 3), 0)[0].smoothness(values(3, 2))) == 0


@given(st.integers(1, 8), st.integers(0, 20), st.integers(0, 9))
def test_symmetric_weight_equals_the_loop(num_nodes: int, num_edges: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    row, column = torch.randint(num_nodes, (2, num_edges), generator=generator)
    weight = torch.randn(num_edges, generator=generator, dtype=torch.float64)  # degrees may be negative
    found = symmetric_weight(row, column, weight, num_nodes)
    expected = naive.symmetric_weight(row.tolist(), column.tolist(), weight.tolist(), num_nodes)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


def test_a_node_of_more_edges_than_float32_counts() -> None:
    number = 17_000_000
    node, one = torch.zeros(1, dtype=torch.long).expand(number), torch.ones(1).expand(number)
    weight = symmetric_weight(node, node, one, 1)
    assert weight.dtype == torch.float32
    torch.testing.assert_close(weight[0] * number, torch.tensor(1.0), rtol=1e-6, atol=0)


def test_wider_sums_of_unit_weights_are_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    row, column = torch.randint(30, (2, 500), generator=torch.Generator().manual_seed(0))
    narrow = symmetric_weight(row, column, torch.ones(500), 30)
    monkeypatch.setattr("anchorrec_graph.graph.normalize.EXACT", 0)
    assert symmetric_weight(row, column, torch.ones(500), 30).equal(narrow)


def test_inverse_sqrt_of_what_is_not_positive_is_zero() -> None:
    found = inverse_sqrt(torch.tensor([4.0, 0.0, -1.0, 1e-45]))
    assert found[:3].tolist() == [0.5, 0.0, 0.0]
    assert bool(torch.isfinite(found).all())


def test_indices_are_half_as_wide_where_they_fit_and_other_code_gets_int64() -> None:
    row, column = torch.tensor([2, 0, 0]), torch.tensor([1, 0, 1])
    relation = Relation(row, column, torch.ones(3), (3, 2))
    assert {index.dtype for index in relation.csr()[:2]} == {torch.int32}
    assert relation.edge_index.dtype == relation.terms(torch.ones(2, 1), 0)[0].dtype == torch.int64
    with pytest.raises(ValueError, match="indices"):
        Relation(row + 2**32, column, torch.ones(3), (3, 2))  # would be 2, 0, 0 again in 32 bits


def test_wider_indices_give_the_same_product(monkeypatch: pytest.MonkeyPatch) -> None:
    x = values(5, 3)
    narrow, _ = random_relation((4, 5), 12)
    monkeypatch.setattr("anchorrec_graph.graph.relation.INT32", 11)
    wide, _ = random_relation((4, 5), 12)
    assert {index.dtype for index in wide.csr()[:2]} == {torch.int64}
    assert wide(x).equal(narrow(x))
