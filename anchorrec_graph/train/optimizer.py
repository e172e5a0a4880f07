"""`AdamOfModel`: Adam on a model's parameters, on embedding tables by row where gradients are sparse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from anchorrec_graph.nn.sharded_table import ShardedTable
from anchorrec_graph.train.row_adam import RowAdam


class AdamOfModel:
    """Adam, and with `sparse` `RowAdam` on every embedding table: only rows with a gradient take a step.

    A row's moments then rest while no batch reaches it, where Adam's decay. A step costs time by the rows
    that it reaches instead of by the size of the table; the moments take the same memory.

    Args:
        sparse: also switches the tables' own gradients to sparse ones.
    """

    def __init__(self, model: nn.Module, learning_rate: float, sparse: bool) -> None:
        self.parameters = list(model.parameters())
        tables = [m for m in model.modules() if isinstance(m, (nn.Embedding, ShardedTable))] if sparse else []
        for table in tables:
            if isinstance(table, nn.Embedding):  # the other's gradients are always sparse
                table.sparse = True
        by_row = {id(table.weight) for table in tables}
        dense = [p for p in self.parameters if id(p) not in by_row]
        self.parts: list[Optimizer] = []
        if dense:
            self.parts.append(Adam(dense, lr=learning_rate, fused=True))
        if tables:
            self.parts.append(RowAdam([table.weight for table in tables], learning_rate))

    def set_learning_rate(self, rate: float) -> None:
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = rate

    def zero_grad(self) -> None:
        for part in self.parts:
            part.zero_grad()

    def step(self) -> None:
        for part in self.parts:
            part.step()

    def state(self) -> dict[str, Tensor]:
        """Everything to continue from, as `<number of the parameter>/<name>`."""
        return {
            f"{index}/{name}": value if isinstance(value, Tensor) else torch.tensor(value)
            for index, parameter in enumerate(self.parameters)
            for part in self.parts
            if parameter in part.state
            for name, value in part.state[parameter].items()
        }

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Put what `state` gave back in place.

        Raises:
            IndexError, KeyError, ValueError: it is of other parameters.
        """
        for part in self.parts:
            places: dict[int, dict[str, Any]] = {}
            own = [parameter for group in part.param_groups for parameter in group["params"]]
            place = {id(parameter): number for number, parameter in enumerate(own)}
            for key, value in state.items():
                index, _, name = key.partition("/")
                number = place.get(id(self.parameters[int(index)]))
                if number is not None:
                    by_row = isinstance(part, RowAdam) and name == "step"
                    places.setdefault(number, {})[name] = int(value) if by_row else value
            part.load_state_dict({**part.state_dict(), "state": places})
