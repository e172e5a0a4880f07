"""`ShardedTable`: an embedding table whose rows are cut over several processes."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional


class Exchange(Protocol):
    """What a table needs of the processes (`train.ranks.Ranks`)."""

    @property
    def rank(self) -> int: ...

    @property
    def size(self) -> int: ...

    def trade(self, rows: Tensor, sent: list[int], received: list[int]) -> Tensor: ...

    def all_rows(self, own: Tensor, counts: list[int]) -> Tensor: ...


class ShardedTable(nn.Module):
    r"""The part of a table [n, d] that process r of N holds: rows r c to (r + 1) c - 1, c = ceil(n / N).

    A step first fetches the rows that its batches reach from their owners, once for all of them; `forward`
    reads among these; and at the end their gradients go back, where the owner adds up what all processes
    found and takes a step on its rows. So no process holds another's rows or moments in training,
    and what travels grows with the batch. `whole` gathers all rows, for evaluation.
    """

    weight: nn.Parameter  # [c or fewer, d] its gradient is sparse

    def __init__(self, table: nn.Embedding, ranks: Exchange) -> None:
        super().__init__()
        self.ranks, self.num_embeddings = ranks, table.num_embeddings
        self.chunk = -(-self.num_embeddings // ranks.size)
        self.first = min(ranks.rank * self.chunk, self.num_embeddings)
        own = table.weight.detach()[self.first : self.first + self.chunk]
        self.weight = nn.Parameter(own.clone())
        self.ids = self.asked = torch.empty(0, dtype=torch.long)  # nothing is fetched yet
        self.asks = self.gives = [0] * ranks.size
        self.rows = own[:0]

    def fetch(self, ids: Tensor) -> None:
        """Get the rows that `forward` will be asked for; all processes call this together, each with its own.

        Args:
            ids: sorted, without repetition.
        """
        each = [1] * self.ranks.size
        asks = torch.bincount(ids // self.chunk, minlength=self.ranks.size)
        self.asks, self.gives = asks.tolist(), self.ranks.trade(asks, each, each).tolist()
        self.ids, self.asked = ids, self.ranks.trade(ids, self.asks, self.gives) - self.first
        rows = self.ranks.trade(self.weight.detach().index_select(0, self.asked), self.gives, self.asks)
        self.rows = rows.requires_grad_()

    def forward(self, ids: Tensor) -> Tensor:
        """The rows [m, d] of some of the fetched `ids`.

        Raises:
            RuntimeError: one was not fetched.
        """
        place = torch.searchsorted(self.ids, ids)
        known = functional.pad(self.ids, (0, 1), value=-1).index_select(0, place)
        if bool((known != ids).any()):
            raise RuntimeError("rows of a cut table were read that no graph of the batch reaches")
        return self.rows.index_select(0, place)

    def send_back(self) -> None:
        """Bring the gradients of the fetched rows to their owners; all processes call this together."""
        found = torch.zeros_like(self.rows) if self.rows.grad is None else self.rows.grad
        gradient = self.ranks.trade(found, self.asks, self.gives)
        self.weight.grad = torch.sparse_coo_tensor(
            self.asked.unsqueeze(0), gradient, self.weight.shape, check_invariants=False
        ).coalesce()

    def gathered(self, own: Tensor) -> Tensor:
        """All rows [n, ...] of something of which every process holds those of its part of the table."""
        counts = [
            min(self.chunk, max(self.num_embeddings - rank * self.chunk, 0))
            for rank in range(self.ranks.size)
        ]
        return self.ranks.all_rows(own, counts)

    def whole(self) -> Tensor:
        """All rows [n, d], without a gradient; all processes call this together."""
        return self.gathered(self.weight.detach())
