"""anchorrec export, similar, update, forget, and what an export answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from command import Command

from anchorrec_graph.serve.catalog import Catalog
from anchorrec_graph.serve.contents import run_contents
from anchorrec_graph.serve.export import has_scorer, save_export


@pytest.fixture(scope="module")
def shop(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exports") / "shop"
    save_export(run_contents(run), folder)
    return folder


def test_export_then_recommend(anchorrec: Command, run: Path, tmp_path: Path) -> None:
    out = tmp_path / "shop"
    done = anchorrec("export", run, "--out", out, "--onnx")
    assert done.code == 0, done.err
    assert f"written to {out}" in done.out
    assert (out / "scorer.onnx").is_file()
    ours, theirs = (
        anchorrec("recommend", place, "-u", "u3", "-k", 4, "--json").json()["recommendations"]
        for place in (out, run)
    )
    assert [row["item_id"] for row in ours] == [row["item_id"] for row in theirs]
    assert "is there already" in anchorrec("export", run, "--out", out).error(4)


def test_a_scorer_stays_in_an_export_that_is_written_again(
    anchorrec: Command, run: Path, shop: Path, tmp_path: Path
) -> None:
    (tmp_path / "new.csv").write_text("user_id,item_id\nnew,i1\n")
    save_export(run_contents(run), tmp_path / "first", onnx=True)
    assert anchorrec("forget", tmp_path / "first", "-u", "u1", "--out", tmp_path / "second").code == 0
    more = "--interactions", tmp_path / "new.csv", "--out"
    assert anchorrec("update", tmp_path / "second", *more, tmp_path / "third").code == 0
    assert [has_scorer(tmp_path / name) for name in ("first", "second", "third")] == [True] * 3
    assert anchorrec("update", shop, *more, tmp_path / "without").code == 0
    assert not has_scorer(tmp_path / "without")


def test_a_stranger_and_weights(anchorrec: Command, shop: Path) -> None:
    report = anchorrec(
        "recommend", shop, "--history", "i1", "--history", "i4", "-k", 3, "--weight", "image=3", "--json"
    ).json()
    expected = Catalog.from_export(shop).recommend_for(["i1", "i4"], k=3, weights={"image": 3.0})
    assert report["recommendations"] == expected.to_dicts()
    done = anchorrec("recommend", shop, "--history", "i1", "-k", 3)
    assert done.out.startswith("for someone with i1")
    both = anchorrec("recommend", shop, "--history", "i1", "-u", "u1").error(2)
    assert "give --user or --history" in both
    assert "expected name=number" in anchorrec("recommend", shop, "-u", "u1", "--weight", "image").error(2)
    assert "unknown view 'looks'" in anchorrec("recommend", shop, "-u", "u1", "--weight", "looks=2").error(3)


def test_similar(anchorrec: Command, shop: Path) -> None:
    mixture = ["--by", "image=0.6", "--by", "text=0.4", "-k", 2]
    report = anchorrec("similar", shop, "-i", "i3", *mixture, "--across", "look", "--json").json()
    expected = Catalog.from_export(shop).similar_items(
        ["i3"], by={"image": 0.6, "text": 0.4}, k=2, across="look"
    )
    assert report["similar"] == expected.to_dicts()
    titles = Catalog.from_export(shop).items["title"].to_list()
    done = anchorrec("similar", shop, "-i", "i3", "-i", "i5", "--by", "text")
    assert done.code == 0
    assert [line for line in done.out.splitlines() if line.startswith("like ")] == [
        f"like {titles[3]}",
        f"like {titles[5]}",
    ]
    assert "unknown similarity 'words'" in anchorrec("similar", shop, "-i", "i3", "--by", "words").error(3)


def test_update(anchorrec: Command, shop: Path, tmp_path: Path) -> None:
    pl.DataFrame({"user_id": ["new", "new", "u1"], "item_id": ["i1", "fresh", "i9"]}).write_csv(
        tmp_path / "new.csv"
    )
    pl.DataFrame({"item_id": ["fresh"]}).write_parquet(tmp_path / "items.parquet")
    np.save(tmp_path / "image.npy", Catalog.from_export(shop).contents.features["image"][:1].numpy())
    items = ["--items", tmp_path / "items.parquet", "--features", f"image={tmp_path / 'image.npy'}"]
    done = anchorrec("update", shop, "--interactions", tmp_path / "new.csv", *items, "--out", tmp_path / "b")
    assert done.code == 0, done.err
    assert "61 users and 41 items written" in done.out
    assert "1 new users" in done.out
    catalog = Catalog.from_export(tmp_path / "b")
    assert catalog.knows_user("new")
    assert catalog.knows_item("fresh")
    assert not Catalog.from_export(shop).knows_user("new")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "give --interactions or --items"),
        (["--items", "items.csv"], 2, "go together"),
        (["--interactions", "new.xlsx"], 2, "must end in .csv"),
        (["--interactions", "missing.csv"], 1, "missing.csv"),
    ],
)
def test_bad_updates(
    anchorrec: Command, shop: Path, tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    assert message in anchorrec("update", shop, *arguments, "--out", tmp_path / "b").error(code)
    assert not (tmp_path / "b").exists()


def test_features_that_hold_objects_are_refused(anchorrec: Command, shop: Path, tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("item_id\nfresh\n")
    np.save(tmp_path / "image.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    items = ["--items", tmp_path / "items.csv", "--features", f"image={tmp_path / 'image.npy'}"]
    error = anchorrec("update", shop, *items, "--out", tmp_path / "b").error(3)
    assert "image.npy: is no .npy file of numbers" in error


def test_forget(anchorrec: Command, shop: Path, tmp_path: Path) -> None:
    report = anchorrec("forget", shop, "-u", "u3", "-u", "u7", "--out", tmp_path / "b", "--json").json()
    assert report["users_removed"] == 2
    assert report["pairs_removed"] > 4
    assert report["verified"] is True
    assert "unknown user 'u3'" in anchorrec("recommend", tmp_path / "b", "-u", "u3").error(3)
    assert "unknown user 'nobody'" in anchorrec(
        "forget", shop, "-u", "nobody", "--out", tmp_path / "c"
    ).error(3)
