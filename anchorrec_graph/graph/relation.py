"""`Relation`: a fixed weighted sparse operator, the one propagation primitive."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch_geometric import EdgeIndex

from anchorrec_graph.graph.normalize import symmetric_weight

INT32 = torch.iinfo(torch.int32).max  # nodes and edges of a graph whose indices are half as wide


class Relation(nn.Module):
    r"""The product :math:`y_r = \sum_{(r, c)} w_{rc} x_c` with fixed weights.

    Rows are destinations, columns are sources. The edges are held as a
    row-sorted `torch_geometric.EdgeIndex` with its transpose cached, so that
    forward and backward are each one CSR product. Indices are int32 where they fit, which
    halves the memory. Buffers are not part of the state dict: an operator is derived from data, not learned.

    Weights that require a gradient get one: backward then also gathers E rows of x and of the result.

    Args:
        row, column: int64 [E], destination and source of each edge.
        weight: float [E].
        size: (rows, columns).

    Shapes: x [columns, d] -> y [rows, d].

    Raises:
        ValueError: an index is out of range or the lengths differ.
    """

    edges: EdgeIndex
    weight: Tensor
    recall: float | None = None  # of an approximate item graph (`KnnGraph`)

    def __init__(self, row: Tensor, column: Tensor, weight: Tensor, size: tuple[int, int]) -> None:
        super().__init__()
        if not (row.numel() == column.numel() == weight.numel()):
            raise ValueError(f"edges differ in length: {row.numel()}, {column.numel()}, {weight.numel()}")
        checked = EdgeIndex(torch.stack([row, column]), sparse_size=size).validate().as_tensor()
        fits = max(*size, row.numel()) <= INT32
        edges = EdgeIndex(checked.to(torch.int32 if fits else torch.int64), sparse_size=size)
        edges, order = edges.sort_by("row")
        self.size = size
        self.register_buffer("edges", edges.fill_cache_(), persistent=False)
        self.register_buffer("weight", weight[order] if order is not None else weight, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        with warnings.catch_warnings():  # PyTorch announces that its CSR tensors are in beta, once
            warnings.filterwarnings("ignore", message="Sparse", category=UserWarning)
            weight = self.weight.to(x.dtype)
            product: Tensor = self.edges.matmul(x, input_value=weight.detach())
        if weight.requires_grad:
            product = _WeightGradient.apply(  # type: ignore[no-untyped-call]
                product, weight, x.detach(), *self._rows_and_columns()
            )
        return product

    def terms(self, x: Tensor, row: int) -> tuple[Tensor, Tensor]:
        """The columns c [n] of a row's edges, ascending, and w_rc x_c [n, d]: what y_r is the sum of."""
        rows, columns = self._rows_and_columns()
        start, end = torch.searchsorted(rows, rows.new_tensor([row, row + 1])).tolist()
        order = columns[start:end].argsort(stable=True) + start
        return columns[order].long(), self.weight[order].unsqueeze(1) * x[columns[order]]

    def csr(self) -> tuple[Tensor, Tensor, Tensor]:
        """(rowptr [rows + 1], column [E], weight [E]), by row."""
        (rowptr, column), _ = self.edges.get_csr()
        return rowptr, column, self.weight

    @property
    def edge_index(self) -> Tensor:
        """[2, E] in PyG's order (source, destination), for any PyG convolution."""
        row, column = self._rows_and_columns()
        return torch.stack([column, row]).long()

    def smoothness(self, x: Tensor) -> Tensor:
        r"""Mean over the E edges of :math:`w_{rc} \|x_r - x_c\|^2` (square relations only).

        Uses :math:`\sum w \|x_r - x_c\|^2 = \langle r + c, \|x\|^2 \rangle - 2 \langle x, A x \rangle`
        with the row sums r and column sums c of A. Float64, because the two terms nearly cancel.
        """
        x = x.double()
        row, column = self._rows_and_columns()
        weight = self.weight.double()
        sums = weight.new_zeros(self.size[0]).index_add(0, row, weight).index_add(0, column, weight)
        total = (sums * x.square().sum(1)).sum() - 2 * (x * self(x)).sum()
        mean: Tensor = total / max(weight.numel(), 1)
        return mean

    def _rows_and_columns(self) -> tuple[Tensor, Tensor]:
        row, column = self.edges.as_tensor()
        return row, column

    def extra_repr(self) -> str:
        return f"{self.size[0]} x {self.size[1]}, edges={self.weight.numel()}"


class _WeightGradient(torch.autograd.Function):
    """A product [rows, d] unchanged; its backward also gives the gradient of the edges' weights [E]."""

    @staticmethod
    def forward(ctx: Any, product: Tensor, _weight: Tensor, x: Tensor, row: Tensor, column: Tensor) -> Tensor:
        ctx.save_for_backward(x, row, column)
        return product.view_as(product)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        x, row, column = ctx.saved_tensors
        return upstream, (upstream[row] * x[column]).sum(1), None, None, None


def normalized_relation(row: Tensor, column: Tensor, weight: Tensor, num_nodes: int) -> Relation:
    """The square `Relation` of these edges with the weights of `symmetric_weight`. Shapes: [E] each."""
    return Relation(row, column, symmetric_weight(row, column, weight, num_nodes), (num_nodes, num_nodes))
