from __future__ import annotations

import naive
import pytest
import torch
from torch import Tensor

from anchorrec_graph.losses.regularization import norm_penalty, squared_norm_penalty


def blocks() -> tuple[Tensor, ...]:
    return tuple(torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64))


def test_squared_norms_equal_the_loop() -> None:
    expected = naive.squared_norm_penalty([block.numpy() for block in blocks()], 7)
    assert float(squared_norm_penalty(*blocks(), batch_size=7)) == pytest.approx(expected, rel=1e-12)


def test_norms_equal_the_loop() -> None:
    expected = naive.norm_penalty([block.numpy() for block in blocks()])
    assert float(norm_penalty(*blocks())) == pytest.approx(expected, rel=1e-12)


def test_gradcheck() -> None:
    inputs = tuple(block.clone().requires_grad_() for block in blocks())
    assert torch.autograd.gradcheck(lambda *b: squared_norm_penalty(*b, batch_size=7), inputs)
    assert torch.autograd.gradcheck(norm_penalty, inputs)


def test_norm_of_a_zero_block_has_a_finite_gradient() -> None:
    zero = torch.zeros(5, 4, requires_grad=True)
    norm_penalty(zero, zero).backward()
    assert zero.grad.tolist() == [[0.0] * 4] * 5
