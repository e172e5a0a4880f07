"""Losses that compare every row of a batch with every item, without their matrix."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

BlockLoss = Callable[..., Tensor]  # (block, *tensors) -> scalar


def blockwise_sum(loss: BlockLoss, blocks: Sequence[Tensor], *tensors: Tensor) -> Tensor:
    r""":math:`\sum_b \mathrm{loss}(b, x_1, x_2, \dots)` over blocks b, one block's autograd graph at a time.

    Each block's gradient is taken as soon as its value is known and added up, so that nothing of a
    block outlives it and nothing is computed twice. The sum can be differentiated once.

    Args:
        loss: (block, *tensors) -> scalar; every tensor that it takes gradients of is in `tensors`.
        blocks: row numbers, or whatever tells `loss` which part to compute.
    """
    total: Tensor = _BlockwiseSum.apply(loss, blocks, *tensors)  # type: ignore[no-untyped-call]
    return total


class _BlockwiseSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, loss: BlockLoss, blocks: Sequence[Tensor], *tensors: Tensor) -> Tensor:
        total = tensors[0].new_zeros(())
        gradients = [torch.zeros_like(x) for x in tensors]
        leaves = [x.detach().requires_grad_() for x in tensors]
        for block in blocks:
            with torch.enable_grad():
                value = loss(block, *leaves)
            for gradient, part in zip(gradients, torch.autograd.grad(value, leaves), strict=True):
                gradient += part
            total += value.detach()
        ctx.save_for_backward(*gradients)
        return total

    @staticmethod
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, *(outer * gradient for gradient in ctx.saved_tensors)
