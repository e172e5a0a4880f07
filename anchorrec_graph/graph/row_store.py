"""Where rows made of features are held: in memory, or in the cache as a float16 memory map."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import final

import numpy as np
import torch
from numpy.lib.format import open_memmap
from torch import Tensor

from anchorrec_graph.data.features import open_features
from anchorrec_graph.errors import ConfigError, DataError
from anchorrec_graph.files import replacing
from anchorrec_graph.graph.cache import cache_path
from anchorrec_graph.graph.sharing import in_turn

Blocks = Callable[[], Iterable[Tensor]]


class RowStore(ABC):
    """Holds a matrix that is made block by block."""

    @abstractmethod
    def keep(
        self, kind: str, sources: Sequence[Tensor], shape: tuple[int, int], blocks: Blocks, dim: int = 0
    ) -> Tensor:
        """The matrix of this shape whose `blocks` lie one after the other along `dim`.

        Args:
            kind: what is made of the `sources`, with every setting that it depends on.
        """


@final
class InMemory(RowStore):
    """Float32, made anew every time."""

    def keep(
        self,
        kind: str,  # noqa: ARG002
        sources: Sequence[Tensor],  # noqa: ARG002
        shape: tuple[int, int],  # noqa: ARG002
        blocks: Blocks,
        dim: int = 0,
    ) -> Tensor:
        made = list(blocks())
        return made[0] if len(made) == 1 else torch.cat(made, dim=dim)


@final
class OnDisk(RowStore):
    """Float16 memory maps: made once for equal sources, and read where they are used.

    Rounding is 2^-11 of a value at most. Processes on one machine share the pages, and the system drops them
    when memory is short.
    """

    def keep(
        self, kind: str, sources: Sequence[Tensor], shape: tuple[int, int], blocks: Blocks, dim: int = 0
    ) -> Tensor:
        path = cache_path("rows", f"{kind}|{shape}", sources, ".npy")

        def make() -> Tensor:
            kept = _opened(path, shape)
            if kept is None:
                _write(path, shape, blocks(), dim)
                kept = _opened(path, shape)
            if kept is None:
                raise ConfigError(
                    f"{path}: changed while it was read; do not touch the cache of a running job"
                )
            return kept

        try:
            return in_turn(make)
        except OSError as error:
            raise ConfigError(
                f"{path}: {error.strerror or error}; model.features_on_disk needs room in the cache "
                "folder: set ANCHORREC_CACHE to another one"
            ) from error


def _opened(path: Path, shape: tuple[int, int]) -> Tensor | None:
    """The map, or None where there is no whole one."""
    try:
        rows = open_features(path)
    except DataError:
        return None
    return torch.from_numpy(rows) if rows.shape == shape and rows.dtype == np.float16 else None


def _write(path: Path, shape: tuple[int, int], blocks: Iterable[Tensor], dim: int) -> None:
    with replacing(path) as temporary:
        rows = open_memmap(temporary, mode="w+", dtype=np.float16, shape=shape)
        if hasattr(os, "posix_fallocate"):  # not on macOS and Windows
            with open(temporary, "r+b") as file:  # a full disk is an error here; later it would be SIGBUS
                os.posix_fallocate(file.fileno(), 0, temporary.stat().st_size)
        start = 0
        for block in blocks:
            end = start + block.shape[dim]
            place = (slice(start, end),) if dim == 0 else (slice(None), slice(start, end))
            rows[place] = block.to(torch.float16).numpy()
            start = end
        rows.flush()
