"""Reduced and fused features: made in blocks as in one piece, from memory maps, and as memory maps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from anchorrec_graph.encoders import fused
from anchorrec_graph.encoders.fused import fuse_features, fusion, leading_basis, reduce_features
from anchorrec_graph.graph.row_store import OnDisk


def features(count: int = 60, dim: int = 9, seed: int = 0) -> Tensor:
    rows = torch.randn(count, dim, generator=torch.Generator().manual_seed(seed)) * torch.logspace(0, -2, dim)
    rows[3] = 0
    return rows


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANCHORREC_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("dim", [4, 20])
def test_blocks_give_what_one_piece_gives(monkeypatch: pytest.MonkeyPatch, dim: int) -> None:
    both = {"a": features(), "b": features(dim=7, seed=1)}
    whole = reduce_features(both["a"], dim), fuse_features(both, dim)
    monkeypatch.setattr(fused, "BLOCK", 7)
    torch.testing.assert_close(reduce_features(both["a"], dim), whole[0])
    torch.testing.assert_close(fuse_features(both, dim), whole[1])
    assert whole[1].shape == (60, min(dim, 9) + min(dim, 7))
    torch.testing.assert_close(fusion(both["a"], dim).rows(both["a"]), whole[1][:, : min(dim, 9)])


def test_each_modality_has_the_same_say_and_mean_0() -> None:
    rows = fuse_features({"a": features() * 100, "b": features(dim=7, seed=1)}, 4)
    assert rows[3].abs().max() == 0
    with_feature = torch.cat([rows[:3], rows[4:]])
    torch.testing.assert_close(with_feature.mean(0), torch.zeros(8), atol=1e-6, rtol=0)
    for part in with_feature.split(4, dim=1):
        torch.testing.assert_close(part.square().sum(1).mean(), torch.tensor(1.0))


def test_directions_of_many_rows_come_from_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = features(400)
    exact = leading_basis(rows, 3)
    monkeypatch.setattr(fused, "BASIS_ROWS", 200)
    monkeypatch.setattr(fused, "cached_tensors", lambda *args: args[-1]())
    sampled = leading_basis(rows, 3)
    assert exact is not None
    assert sampled is not None
    assert not torch.equal(exact, sampled)
    unit = torch.nn.functional.normalize(rows)
    kept = [(unit @ basis).square().sum() / unit.square().sum() for basis in (exact, sampled)]
    assert kept[0] * 0.99 < kept[1] <= kept[0]


def test_memory_maps_in_and_out(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", features().half().numpy())
    mapped = torch.from_numpy(np.load(tmp_path / "x.npy", mmap_mode="c"))
    expected = reduce_features(mapped.float(), 4), fuse_features({"a": mapped.float()}, 4)
    for made, rows in (
        (reduce_features(mapped, 4, OnDisk()), expected[0]),
        (fuse_features({"a": mapped}, 4, OnDisk()), expected[1]),
    ):
        assert made.dtype == torch.float16
        torch.testing.assert_close(made.float(), rows, rtol=1e-3, atol=1e-4)
