"""Which search is taken, by planted shares of the trial's neighbours."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from clustered import search
from torch import Tensor

from anchorrec_graph.errors import ConfigError
from anchorrec_graph.graph import approximate

pytest.importorskip("faiss")


def taken(monkeypatch: pytest.MonkeyPatch, shares: list[float], least: float) -> tuple[float, int]:
    """The share of the search that is taken, and how many were tried. A search is its share here."""
    tried = []

    def found(_rows: Any, _items: Tensor, one: Any, *_: Any) -> tuple[Any, None]:
        tried.append(one)
        return one, None

    monkeypatch.setattr(approximate, "_searches", lambda *_: shares)
    monkeypatch.setattr(approximate, "_found", found)
    monkeypatch.setattr(approximate._Sample, "share", lambda _, cosine: cosine)
    rows, config = approximate._Rows.of(torch.eye(4), 4), search(1, least, "ivf")
    share, one = approximate._chosen(rows, config, 4, "ivf")
    assert share is one
    return share, len(tried)


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ([0.96, 0.99], (0.96, 1)),
        ([0.9, 0.96, 0.99], (0.96, 2)),
        ([0.925, 0.94, 0.944], (0.925, 3)),
        ([0.929, 0.93, 0.951, 0.99], (0.951, 3)),
        ([0.935, 0.951, 0.99], (0.935, 2)),
    ],
)
def test_the_fewest_lists_within_a_slack_of_the_best(
    monkeypatch: pytest.MonkeyPatch, shares: list[float], expected: tuple[float, int]
) -> None:
    """With .95 it is enough, whatever may be lost, as long as the least is .9 or lower."""
    for least in (0.0, 0.5, 0.9):
        assert taken(monkeypatch, shares, least) == expected


@pytest.mark.parametrize(
    ("shares", "least", "expected"),
    [
        ([0.961, 0.984, 0.991, 0.999], 0.97, (0.991, 3)),
        ([0.961, 0.984, 0.988], 0.97, (0.988, 3)),
        ([0.975, 0.99, 0.999], 0.97, (0.99, 2)),
        ([0.96, 0.97, 0.98], 0.95, (0.97, 2)),
        ([0.99, 0.999, 1.0, 1.0], 1.0, (1.0, 3)),
        ([0.99, 0.999, 1.0, 1.0], 0.985, (1.0, 3)),
    ],
)
def test_a_high_least_recall_reads_more_lists(
    monkeypatch: pytest.MonkeyPatch, shares: list[float], least: float, expected: tuple[float, int]
) -> None:
    """Until they hold .02 more than it, or all."""
    assert taken(monkeypatch, shares, least) == expected


@pytest.mark.parametrize("least", [0.5, 0.8, 0.9])
def test_no_slack_where_less_is_found_than_is_safe(monkeypatch: pytest.MonkeyPatch, least: float) -> None:
    """.91 is within .02 of .925, but below the .92 with which .9 is safe."""
    assert taken(monkeypatch, [0.91, 0.915, 0.925], least) == (0.925, 3)
    assert taken(monkeypatch, [0.7, 0.82, 0.835, 0.835], least) == (0.835, 4)


def test_auto_refuses_none_that_does_for_one_that_does_not() -> None:
    """The trial is of fewer items than the recall."""
    shares = {"ivf": (0.905, 0.91), "hnsw": (0.91, 0.895)}

    def made(method: str) -> dict[str, Tensor]:
        trial, recall = (torch.tensor(share, dtype=torch.float64) for share in shares[method])
        return {"edge_index": recall, "edge_weight": recall, "recall": recall, "trial": trial}

    assert approximate._accepted(made, search(1, 0.9, "auto"), 9).recall == 0.91
    assert approximate._accepted(made, search(1, 0.895, "auto"), 9).recall == 0.895


@pytest.mark.parametrize(
    ("lists", "links", "least", "expected"),
    [
        (0.92, None, 0.9, "ivf"),
        (0.919, 0.99, 0.9, "hnsw"),
        (0.835, 0.83, 0.9, None),
        (0.835, None, 0.8, "ivf"),
        (0.815, 0.81, 0.8, "ivf"),
        (0.96, 0.985, 0.95, "hnsw"),
        (1.0, None, 1.0, "ivf"),
    ],
)
def test_auto_builds_links_where_lists_are_not_safe(
    lists: float, links: float | None, least: float, expected: str | None
) -> None:
    """None: they must not be built; or neither is taken."""
    shares = {"ivf": lists, "hnsw": links}

    def made(method: str) -> dict[str, Tensor]:
        share = torch.tensor(shares[method], dtype=torch.float64)
        return {"edge_index": [method], "edge_weight": share, "recall": share, "trial": share}  # type: ignore[dict-item]

    if expected is None:
        with pytest.raises(ConfigError, match=r"has 0\.835 of "):
            approximate._accepted(made, search(1, least, "auto"), 9)
    else:
        found = approximate._accepted(made, search(1, least, "auto"), 9)
        assert (found.edges.edge_index, found.recall) == ([expected], shares[expected])  # type: ignore[comparison-overlap]
