"""anchorrec export --ann, and the recall that anchorrec graph shows."""

from __future__ import annotations

from pathlib import Path

import pytest
from command import Command

pytest.importorskip("faiss")


def test_export_with_an_index(anchorrec: Command, run: Path, tmp_path: Path) -> None:
    done = anchorrec("export", run, "--out", tmp_path / "shop", "--ann")
    assert "index of the items: recall@20 1.0000 against all items scored\n" in done.out
    again = anchorrec("export", tmp_path / "shop", "--out", tmp_path / "again", "--json").json()
    assert again["shortlist"] == {"kind": "HNSW32", "k": 20, "users": 1000, "recall": 1.0}
    ours, theirs = (
        anchorrec("recommend", place, "-u", "u3", "-k", 4, "--json").json()["recommendations"]
        for place in (tmp_path / "again", run)
    )
    assert [row["item_id"] for row in ours] == [row["item_id"] for row in theirs]
    plain = anchorrec("export", run, "--out", tmp_path / "plain")
    assert "index of the items" not in plain.out
    assert not (tmp_path / "plain" / "items.faiss").exists()


@pytest.mark.parametrize(("above", "recall"), [(39, 1.0), (40, 1.0)])
def test_graphs_show_the_recall(
    anchorrec: Command,
    config: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    above: int,
    recall: float,
) -> None:
    monkeypatch.setenv("ANCHORREC_CACHE", str(tmp_path))
    limit = f"model.knn.approximate.above={above}"
    report = anchorrec("graph", "-c", config, "-k", 3, "-o", limit, "--json").json()
    assert [row["recall"] for row in report["graphs"]] == [None, None, recall, recall]


def test_graphs_of_too_low_a_recall(
    anchorrec: Command, config: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ANCHORREC_CACHE", str(tmp_path))
    monkeypatch.setattr("anchorrec_graph.graph.approximate._Sample.share", lambda *_: 0.5)
    line = anchorrec("graph", "-c", config, "-o", "model.knn.approximate.above=9").error(2)
    assert line.startswith("the approximate item graph has 0.500 of the nearest neighbours")
