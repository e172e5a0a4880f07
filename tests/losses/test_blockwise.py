from __future__ import annotations

from weakref import WeakSet

import pytest
import torch
from torch import Tensor

from anchorrec_graph.losses.blockwise import blockwise_sum


def tables() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(n, 3, generator=generator, dtype=torch.float64).requires_grad_() for n in (7, 5))


def loss(block: Tensor, rows: Tensor, keys: Tensor) -> Tensor:
    return (rows[block] @ keys.T).logsumexp(1).square().sum()


@pytest.mark.parametrize("block_size", [1, 3, 7, 100])
def test_value_and_gradients_equal_those_of_one_block(block_size: int) -> None:
    rows, keys = tables()
    numbers = torch.tensor([0, 2, 2, 6, 5, 1, 3])
    found = blockwise_sum(loss, numbers.split(block_size), rows, keys)
    expected = loss(numbers, rows, keys)
    torch.testing.assert_close(found, expected)
    for scale in (1.0, -3.0):
        mine = torch.autograd.grad(scale * found, (rows, keys), retain_graph=True)
        whole = torch.autograd.grad(scale * expected, (rows, keys), retain_graph=True)
        torch.testing.assert_close(mine, whole)


def test_gradcheck() -> None:
    blocks = torch.arange(7).split(2)
    assert torch.autograd.gradcheck(lambda r, k: blockwise_sum(loss, blocks, r, k), tables())


class Saved:
    """What a block's graph keeps for its backward pass."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


def test_nothing_of_a_block_outlives_it() -> None:
    alive: WeakSet[Saved] = WeakSet()
    left: list[int] = []

    def pack(tensor: Tensor) -> Saved:
        saved = Saved(tensor)
        alive.add(saved)
        return saved

    def counting(*args: Tensor) -> Tensor:
        left.append(len(alive))
        return loss(*args)

    blocks = torch.arange(7).split(2)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda saved: saved.tensor):
        blockwise_sum(counting, blocks, *tables())
        assert left == [0] * 4
        left.clear()
        kept = [counting(block, *tables()) for block in blocks]  # what the count would be without
    assert left[3] > left[1] > 0 < len(kept)
