"""The index of the items where an export is written again: update, forget, export."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from command import Command
from polars.testing import assert_frame_equal

from anchorrec_graph.data.manifest import file_hash
from anchorrec_graph.serve import shortlist as module
from anchorrec_graph.serve.catalog import Catalog
from anchorrec_graph.serve.contents import run_contents
from anchorrec_graph.serve.export import SHORTLIST, check_export, save_export

pytest.importorskip("faiss")


@pytest.fixture(scope="module")
def shop(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export with an index of its 40 items."""
    folder = tmp_path_factory.mktemp("indexed") / "shop"
    save_export(run_contents(run), folder, ann=True)
    return folder


@pytest.fixture
def news(shop: Path, tmp_path: Path) -> list[object]:
    """The options for a new item that looks like i0, and a purchase of it."""
    (tmp_path / "new.csv").write_text("user_id,item_id\nnew,i1\nnew,fresh\n")
    pl.DataFrame({"item_id": ["fresh"]}).write_parquet(tmp_path / "items.parquet")
    np.save(tmp_path / "image.npy", Catalog.from_export(shop).contents.features["image"][:1].numpy())
    items = ["--items", tmp_path / "items.parquet", "--features", f"image={tmp_path / 'image.npy'}"]
    return [*items, "--interactions", tmp_path / "new.csv"]


@pytest.fixture
def no_faiss(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    away = lambda name: None if name == "faiss" else find(name)  # noqa: E731
    monkeypatch.setattr(importlib.util, "find_spec", away)
    monkeypatch.setattr(module, "find_spec", away)


def test_update_has_new_items_in_the_index(
    anchorrec: Command, shop: Path, news: list[object], tmp_path: Path
) -> None:
    done = anchorrec("update", shop, *news, "--out", tmp_path / "b")
    assert done.code == 0, done.err
    assert "index of the items: recall@20 1.0000 against all items scored\n" in done.out
    catalog, manifest = Catalog.from_export(tmp_path / "b"), check_export(tmp_path / "b")
    assert catalog.contents.shortlist is not None
    assert catalog.contents.shortlist.index.ntotal == len(catalog.items) == 41
    assert manifest["shortlist"] == {"kind": "HNSW32", "k": 20, "users": 1000, "recall": 1.0}
    exact = Catalog(catalog.contents._replace(shortlist=None))
    assert_frame_equal(catalog.recommend(k=3), exact.recommend(k=3))
    save_export(exact.contents, tmp_path / "built", ann=True)
    assert file_hash(tmp_path / "built" / SHORTLIST) == manifest["files"][SHORTLIST]
    more = [*news[-2:], "--json"]
    second = anchorrec("update", tmp_path / "b", *more, "--out", tmp_path / "c").json()
    assert second["shortlist"] == manifest["shortlist"]
    assert check_export(tmp_path / "c")["files"][SHORTLIST] == manifest["files"][SHORTLIST]


def test_update_without_an_index_makes_none(
    anchorrec: Command, run: Path, news: list[object], tmp_path: Path
) -> None:
    report = anchorrec("update", run, *news, "--out", tmp_path / "b", "--json").json()
    assert report["shortlist"] is None
    assert not (tmp_path / "b" / SHORTLIST).exists()


def test_a_low_recall_is_refused_and_the_index_can_be_left_out(
    anchorrec: Command, shop: Path, news: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "measured_recall", lambda *_: 0.7)
    line = anchorrec("update", shop, *news, "--out", tmp_path / "b").error(2)
    assert line.startswith("the index finds 0.700 of the 20 best items of users, below 0.9")
    assert not (tmp_path / "b").exists()
    done = anchorrec("update", shop, *news, "--out", tmp_path / "b", "--no-ann")
    assert done.code == 0, done.err
    assert "index" not in done.out
    assert not (tmp_path / "b" / SHORTLIST).exists()


def test_forget_and_export_keep_the_index_unless_told(anchorrec: Command, shop: Path, tmp_path: Path) -> None:
    forget = ["forget", shop, "-u", "u3", "--out"]
    for name, command in (("forget", forget), ("export", ["export", shop, "--out"])):
        assert anchorrec(*command, tmp_path / name).code == 0
        ours, theirs = check_export(tmp_path / name), check_export(shop)
        assert ours["files"][SHORTLIST] == theirs["files"][SHORTLIST]
        assert ours["shortlist"] == theirs["shortlist"]
        assert Catalog.from_export(tmp_path / name).contents.shortlist is not None
        assert anchorrec(*command, tmp_path / f"{name}-without", "--no-ann").code == 0
        assert SHORTLIST not in check_export(tmp_path / f"{name}-without")["files"]


@pytest.mark.usefixtures("no_faiss")
def test_where_faiss_is_missing_the_index_is_not_lost_unseen(
    anchorrec: Command, shop: Path, news: list[object], tmp_path: Path
) -> None:
    out = tmp_path / "b"
    commands = (["update", shop, *news], ["forget", shop, "-u", "u3"], ["export", shop])
    for number, command in enumerate(commands):
        line = anchorrec(*command, "--out", out).error(2)
        assert line == (
            "keeping the index of the items (--no-ann leaves it out) needs faiss-cpu, which is missing: "
            "pip install 'anchorrec_graph[ann]'"
        )
        assert not out.exists()
        assert anchorrec(*command, "--out", tmp_path / str(number), "--no-ann").code == 0
