"""Inverted lists read once for many rows, against faiss's own search of every row."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

pytest.importorskip("faiss")

from anchorrec_graph.graph import ivf

LISTS = 12


@pytest.fixture(scope="module")
def rows() -> Tensor:
    found = torch.randn(300, 16, generator=torch.Generator().manual_seed(0))
    found[40:80] = found[40]  # a list of these, and others that may stay empty
    unit: Tensor = found / found.norm(dim=1, keepdim=True)
    return unit


@pytest.fixture(scope="module")
def index(rows: Tensor) -> Any:
    return ivf.build_index(rows, rows.split(100), LISTS)


@pytest.mark.parametrize("block", [7, 4096])
@pytest.mark.parametrize("few", [0, ivf.FEW, 1000])
@pytest.mark.parametrize("lists", [1, 3, LISTS, 100])
def test_what_faiss_finds_row_by_row(
    monkeypatch: pytest.MonkeyPatch, index: Any, rows: Tensor, lists: int, few: int, block: int
) -> None:
    import faiss

    monkeypatch.setattr(ivf, "BLOCK", block)
    monkeypatch.setattr(ivf, "FEW", few)
    found = ivf.search_index(index, rows, 4, lists)
    params = faiss.SearchParametersIVF(nprobe=lists)  # type: ignore[call-arg]
    products, expected = index.search(rows.numpy(), 6, params=params)
    assert found.shape == (300, 6)
    assert ((found < 0) == torch.from_numpy(expected < 0)).all()
    held = rows.half().float()[found.clamp(min=0)]
    ours = (held @ rows[:, :, None]).squeeze(2).where(found >= 0, -torch.inf)
    theirs = torch.from_numpy(products).where(found >= 0, -torch.inf)
    torch.testing.assert_close(ours, theirs)  # equal rows stand in any order
    assert all(len(set(row[row >= 0].tolist())) == int((row >= 0).sum()) for row in found)


def test_fewer_rows_than_asked_for(rows: Tensor) -> None:
    few = ivf.build_index(rows[:3], [rows[:3]], 1)
    assert ivf.search_index(few, rows[:2], 4, 2).sort(dim=1).values.tolist() == [[-1, -1, -1, 0, 1, 2]] * 2


def test_centres_are_the_means_of_the_rows_nearest_to_them(rows: Tensor) -> None:
    """k-means has come to its end on rows in clear clusters, which the centres then are."""
    true = torch.eye(16)[:5]
    clear = (true.repeat(40, 1) + 0.05 * rows[:200]).float()
    clear = clear / clear.norm(dim=1, keepdim=True)
    found = ivf.centres(clear, 9)
    assert found.norm(dim=1).sub(1).abs().max() < 1e-6
    owner = ivf.nearest(clear, found, 1).flatten()
    for number in owner.unique().tolist():
        mean = clear[owner == number].sum(0)
        torch.testing.assert_close(found[number], mean / mean.norm(), atol=0.05, rtol=0)
    assert (found @ true.T).amax(0).min() > 0.98  # every cluster has a centre


def test_more_centres_than_different_rows_of_them() -> None:
    same = torch.ones(20, 4) / 2
    assert ivf.centres(same, 6).equal(same[:6])
    index = ivf.build_index(same, [same], 6)
    assert ivf.search_index(index, same, 2, 6).ge(0).all()


def test_the_nearest_are_the_best_first(rows: Tensor) -> None:
    products = rows @ rows[:30].T
    assert products.gather(1, ivf.nearest(rows, rows[:30], 4)).equal(products.topk(4, dim=1).values)
