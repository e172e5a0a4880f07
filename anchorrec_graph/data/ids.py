"""`Ids`: ids as in the source data, and their row numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from anchorrec_graph.errors import DataError


class Ids:
    """The ids of all users or of all items, in the order of their rows.

    Args:
        noun: what an error calls one of them.
    """

    def __init__(self, noun: str, ids: Iterable[object]) -> None:
        self.noun, self.names = noun, [str(name) for name in ids]
        self._row = {name: row for row, name in enumerate(self.names)}

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, name: object) -> bool:
        return str(name) in self._row

    def row(self, name: object) -> int:
        """The row of one id.

        Raises:
            DataError: there is no such id.
        """
        if name not in self:
            raise DataError(f"unknown {self.noun} '{name}'; {self._example}")
        return self._row[str(name)]

    def rows(self, names: Sequence[str]) -> Tensor:
        """The rows [n] of several ids, in their order.

        Raises:
            DataError: one is unknown, or one id is given instead of a list.
        """
        if isinstance(names, str):
            raise DataError(f"{self.noun}s must be a list of ids: ['{names}']")
        unknown = [name for name in names if name not in self]
        if len(unknown) > 1:
            many = f"{len(unknown)} of {len(names)} are unknown"
            raise DataError(f"unknown {self.noun} '{unknown[0]}' ({many}); {self._example}")
        return torch.tensor([self.row(name) for name in names], dtype=torch.long)

    @property
    def _example(self) -> str:
        return f"ids look like '{self.names[0]}'" if self.names else f"there are no {self.noun}s"
