"""Rows in memory and as float16 memory maps: the same numbers, made once, whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from anchorrec_graph.data.features import widened
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.graph import cache
from anchorrec_graph.graph.row_store import InMemory, OnDisk

ROWS = torch.randn(11, 5, generator=torch.Generator().manual_seed(0))


class Blocks:
    """ROWS in blocks of 4 along a dimension, and how often they were asked for."""

    def __init__(self, dim: int) -> None:
        self.dim, self.times = dim, 0

    def __call__(self) -> Iterator[Tensor]:
        self.times += 1
        return iter(ROWS.split(4, dim=self.dim))


def kept(store: InMemory | OnDisk, blocks: Blocks, kind: str = "x") -> Tensor:
    return store.keep(kind, (ROWS,), (11, 5), blocks, blocks.dim)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ANCHORREC_CACHE", str(tmp_path))
    return tmp_path / "rows"


@pytest.mark.parametrize("dim", [0, 1])
def test_both_hold_the_blocks(dim: int) -> None:
    assert torch.equal(kept(InMemory(), Blocks(dim)), ROWS)
    mapped = kept(OnDisk(), Blocks(dim))
    assert torch.equal(mapped, ROWS.half())
    assert torch.equal(widened(mapped), ROWS.half().float())
    assert widened(ROWS) is ROWS


def test_a_map_is_made_once_for_equal_sources_and_kinds(folder: Path) -> None:
    blocks, store = Blocks(0), OnDisk()
    first, second = kept(store, blocks), kept(store, blocks)
    assert blocks.times == 1
    assert torch.equal(first, second)
    first[0] = 7  # a copy of the process, as of open_features
    assert torch.equal(kept(store, blocks), second)
    kept(store, blocks, "y")
    store.keep("x", (ROWS + 1,), (11, 5), blocks)
    assert blocks.times == 3
    assert len(list(folder.iterdir())) == 3


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY\x01\x00", None])
def test_a_damaged_map_is_made_again(folder: Path, damage: bytes | None) -> None:
    blocks, store = Blocks(0), OnDisk()
    kept(store, blocks)
    (path,) = folder.iterdir()
    if damage is None:
        np.save(path, np.zeros((11, 5), dtype=np.float32))
    else:
        path.write_bytes(damage)
    assert torch.equal(kept(store, blocks), ROWS.half())
    assert blocks.times == 2


def test_a_full_disk_is_an_error_with_what_to_do_and_leaves_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(ConfigError, match=r"No space left on device; .*set ANCHORREC_CACHE to another one"):
        kept(OnDisk(), Blocks(0))
    assert list(folder.iterdir()) == []


def test_a_system_that_cannot_claim_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """As macOS and Windows."""
    monkeypatch.delattr(os, "posix_fallocate", raising=False)
    assert torch.equal(kept(OnDisk(), Blocks(0)), ROWS.half())


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("ANCHORREC_CACHE", str(tmp_path / "file"))
    assert cache.cache_dir().is_file()
    with pytest.raises(ConfigError, match=r"features_on_disk needs room in the cache folder"):
        kept(OnDisk(), Blocks(0))
