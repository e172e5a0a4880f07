"""The limits of this machine, and the work that a piece of PyTorch code asks of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

VIEWS = {"view", "t", "transpose", "expand", "slice", "select", "detach", "alias", "unsqueeze", "squeeze",
         "split", "as_strided", "_unsafe_view", "permute", "unbind", "diagonal", "empty"}  # fmt: skip


class Limits(NamedTuple):
    """What the machine can do at best."""

    flops: float  # float32 matrix multiply, floating-point operations per second
    bandwidth: float  # bytes per second read plus written by a copy


class Work(NamedTuple):
    """What a piece of code asks for."""

    flops: float  # in dense matrix products, forward and backward
    bytes: float  # operands and results of every operation, as if none stayed in a cache


def measure_limits(repeats: int = 5) -> Limits:
    """Best of several: a 2048^3 product, and a copy of 256 MiB."""
    a, b = torch.randn(2048, 2048), torch.randn(2048, 2048)
    source, target = torch.randn(2**26), torch.empty(2**26)
    product = min(seconds(lambda: a @ b) for _ in range(repeats))
    copy = min(seconds(lambda: target.copy_(source)) for _ in range(repeats))
    return Limits(2 * 2048**3 / product, 2 * source.nbytes / copy)


def seconds(function: Callable[[], object]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def count_work(function: Callable[[], object]) -> Work:
    """Run once and count. Sparse products count as bytes only."""
    with _Counter() as counter:
        function()
    return Work(counter.flops, counter.bytes)


class _Counter(TorchDispatchMode):
    """Adds up dense products, and the tensors that each operation reads and writes; views are free."""

    def __init__(self) -> None:
        super().__init__()
        self.flops = self.bytes = 0.0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func.overloadpacket.__name__ in VIEWS:
            return result
        leaves = tree_leaves((args, kwargs, result))
        self.bytes += sum(_size(leaf) for leaf in leaves)
        dense = all(leaf.layout == torch.strided for leaf in leaves if isinstance(leaf, torch.Tensor))
        name = func.overloadpacket.__name__.removesuffix("_")  # in place: the same work
        product = flop_registry.get(getattr(torch.ops.aten, name, None))
        if dense and product:
            self.flops += product(*args, **(kwargs or {}), out_val=result)
        return result


def _size(leaf: object) -> int:
    if not isinstance(leaf, torch.Tensor):
        return 0
    if leaf.layout == torch.sparse_csr:
        return leaf.values().nbytes + leaf.col_indices().nbytes + leaf.crow_indices().nbytes
    return leaf.nbytes
