"""The denominators of softmax losses, without the matrix of their logits."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

BLOCK = 128  # rows of logits at a time: they stay in the processor's cache


def weighted_log_sums(query: Tensor, key: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    r""":math:`\sum_i w_i \log \sum_j \exp(\langle q_i, k_j \rangle + b_j)`.

    A row that a batch has several times is given once, with their number as its weight. The gradient,
    softmax times the other side's rows, is taken with the value, block by block: nothing is computed twice
    and no logits outlive their block. Time is O(b n d), memory O((b + n) d). The sum can be differentiated
    once.

    Args:
        query: [b, d].
        key: [n, d].
        weight: [b], constants.
        bias: [n], constants; default 0.

    Raises:
        ValueError: the weight or the bias requires a gradient.
    """
    if weight.requires_grad or (bias is not None and bias.requires_grad):
        raise ValueError("weighted_log_sums has no gradient for its weight and its bias")
    total: Tensor = _WeightedLogSums.apply(query, key, weight, bias)  # type: ignore[no-untyped-call]
    return total


class _WeightedLogSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        total, to_query, to_key = query.new_zeros(()), torch.empty_like(query), torch.zeros_like(key)
        weight, bias = weight.to(query.dtype), None if bias is None else bias.to(query.dtype)
        for q, w, gradient in zip(*(x.split(BLOCK) for x in (query, weight, to_query)), strict=True):
            logits = q @ key.T if bias is None else torch.addmm(bias, q, key.T)
            largest = logits.amax(1, keepdim=True)
            shares = logits.sub_(largest).exp_()
            sums = shares.sum(1)
            total += w @ (sums.log() + largest.squeeze(1))
            shares *= (w / sums).unsqueeze(1)
            if ctx.needs_input_grad[0]:
                torch.mm(shares, key, out=gradient)
            if ctx.needs_input_grad[1]:
                to_key.addmm_(shares.T, q)
        ctx.save_for_backward(to_query, to_key)
        return total

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor, Tensor, None, None]:
        to_query, to_key = ctx.saved_tensors
        return outer * to_query, outer * to_key, None, None
