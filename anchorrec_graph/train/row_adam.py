"""`RowAdam`: Adam on the rows of a table that have a gradient, a block of rows at a time."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor
from torch.optim import Optimizer

ROWS = 4_096  # in the processor's cache at a time


@final
class RowAdam(Optimizer):
    r"""The steps of `torch.optim.SparseAdam`, which adds whole sparse tensors to each table four times.

    A row g of the gradient moves its row p of the parameter and the row's own moments at step t:

    .. math:: m &\leftarrow m + (1 - \beta_1) (g - m), \quad v \leftarrow v + (1 - \beta_2) (g^2 - v) \\
              p &\leftarrow p - \eta \frac{\sqrt{1 - \beta_2^t}}{1 - \beta_1^t} \frac{m}{\sqrt v + \epsilon}

    All other rows, and their moments, rest.

    Args:
        tables: parameters [n, d] with sparse gradients over rows.
        learning_rate: :math:`\eta`.

    Raises:
        ValueError: in `step`, a gradient is dense.
    """

    def __init__(self, tables: list[Tensor], learning_rate: float) -> None:
        super().__init__(tables, {"lr": learning_rate, "betas": (0.9, 0.999), "eps": 1e-8})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # noqa: ARG002
        for group in self.param_groups:
            for table in group["params"]:
                if table.grad is not None and not table.grad.is_sparse:
                    raise ValueError(
                        "a table has a dense gradient, because the model reads it as a whole, not by rows; "
                        "train.mode 'sampled' needs table(ids), 'full' does not"
                    )
                if table.grad is not None:
                    self._move(table, table.grad.coalesce(), group)

    def _move(self, table: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state, (beta1, beta2) = self.state[table], group["betas"]
        if not state:
            state.update(step=0, exp_avg=torch.zeros_like(table), exp_avg_sq=torch.zeros_like(table))
        state["step"] += 1
        rate = group["lr"] * (1 - beta2 ** state["step"]) ** 0.5 / (1 - beta1 ** state["step"])
        rows, values = gradient.indices()[0], gradient.values()
        for row, g in zip(rows.split(ROWS), values.split(ROWS), strict=True):
            mean, square = state["exp_avg"].index_select(0, row), state["exp_avg_sq"].index_select(0, row)
            mean.lerp_(g, 1 - beta1)
            square.lerp_(g.square(), 1 - beta2)
            state["exp_avg"].index_copy_(0, row, mean)
            state["exp_avg_sq"].index_copy_(0, row, square)
            table.index_add_(0, row, mean.div_(square.sqrt_().add_(group["eps"])), alpha=-rate)
