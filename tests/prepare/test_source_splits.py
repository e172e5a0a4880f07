"""A source's own split comes along: its labels are kept with their rows, replaced, or refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_shop import make, silent

from anchorrec_graph.errors import DataError
from anchorrec_graph.prepare.pipeline import survey
from anchorrec_graph.prepare.rejects import Rejects
from anchorrec_graph.prepare.settings import PrepareSettings, prepare_settings
from anchorrec_graph.prepare.sources.base import INTERACTION_COLUMNS, LABEL, ListedFiles
from anchorrec_graph.prepare.sources.mmrec import MMRec

HEADER = "userID\titemID\trating\tx_label\n"
RECBOLE = "user_id:token\titem_id:token\n"


def mmrec(folder: Path, rows: str, **values: Any) -> PrepareSettings:
    folder.mkdir(exist_ok=True)
    (folder / "a.inter").write_text(HEADER + rows, encoding="utf-8")
    return prepare_settings({"source": {"name": "mmrec", "files": [str(folder)]}, **values}, [])


def recbole(folder: Path, files: dict[str, str], **source: Any) -> PrepareSettings:
    folder.mkdir(exist_ok=True)
    for name, rows in files.items():
        (folder / f"{name}.inter").write_text(RECBOLE + rows, encoding="utf-8")
    return prepare_settings({"source": {"name": "recbole", "files": [str(folder)], **source}}, [])


def stored(folder: Path) -> list[tuple[str, str, int]]:
    rows = pl.read_parquet(folder / "interactions.parquet")
    assert rows.schema["label"] == pl.Int8
    users, items = (pl.read_parquet(folder / f"{kind}s.parquet")[f"{kind}_id"] for kind in ("user", "item"))
    user, item = users.gather(rows["user"]).to_list(), items.gather(rows["item"]).to_list()
    return list(zip(user, item, rows["label"].to_list(), strict=True))


def test_dropped_rows_do_not_change_labels(tmp_path: Path) -> None:
    rows = "0\t0\t5\t0\n0\t1\t5\t2\n0\t0\t4\t1\n1\t0\t1\t0\n1\t1\t5\t1\n2\t1\t5\t0\n0\t2\t5\t1\n"
    lines: list[str] = []
    config = mmrec(tmp_path / "raw", rows, min_rating=2, item_core=2)
    manifest = make(config, tmp_path / "out").manifest
    assert stored(tmp_path / "out") == [("0", "1", 2), ("1", "1", 1), ("2", "1", 0)]
    assert (manifest["source_split"], manifest["split"]) == ("kept", {"train": 1, "validation": 1, "test": 1})
    make(mmrec(tmp_path / "raw", rows), tmp_path / "all")
    assert stored(tmp_path / "all") == [
        ("0", "1", 2), ("0", "0", 1), ("1", "0", 0), ("1", "1", 1), ("2", "1", 0), ("0", "2", 1)
    ]  # fmt: skip  # of two rows of a pair the last stays, with its own label
    assert survey(config, lines.append)["source_split"] == "kept"
    assert "the split of the source is kept" in lines


def test_a_split_replaces_the_labels(tmp_path: Path) -> None:
    rows = "".join(f"0\t{item}\t5\t2\n" for item in range(9)) + "0\t9\t5\t\n"
    lines: list[str] = []
    found = survey(mmrec(tmp_path / "raw", rows, split={"name": "random"}), lines.append)
    assert (found["source_split"], found["split"]) == ("replaced", {"train": 8, "validation": 1, "test": 1})
    assert "the split of the source is replaced" in lines


def test_rows_without_labels(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"user '1' with item '0' has no split label, as 2 of 3 rows; label"):
        survey(mmrec(tmp_path / "raw", "0\t0\t5\t1\n1\t0\t5\t\n2\t0\t5\t \n"), silent)
    found = survey(mmrec(tmp_path / "raw", "0\t0\t5\t\n1\t0\t5\t\n"), silent)
    assert (found["source_split"], found["split"]) == (None, None)


fields = st.sampled_from(["0", "1", "2", " 1", "", "3", "-1", "1.0", "x", "\u0661"])
lines = st.lists(st.tuples(st.sampled_from(["0", "7", "u"]), st.sampled_from(["1", "x"]), fields), max_size=9)


@settings(max_examples=60)
@given(lines)
def test_labels_stay_with_their_rows(rows: list[tuple[str, str, str]]) -> None:
    """The twin goes row by row."""
    expected, bad = [], 0
    for user, rating, text in rows:
        label = {"0": 0, "1": 1, "2": 2, "": None}.get(text.strip(" "), -1)
        if label == -1 or user == "u" or rating == "x":
            bad += 1
        else:
            expected.append((user, "0", 1.0, None, label))
    rejects = Rejects()
    with TemporaryDirectory() as name:
        path = Path(name) / "a.inter"
        path.write_text(HEADER + "".join(f"{user}\t0\t{rating}\t{text}\n" for user, rating, text in rows))
        frames = list(MMRec(files=(Path(name),)).read_interactions(path, rejects))
    assert [row for frame in frames for row in frame.rows()] == expected
    assert rejects.total == bad
    assert {sample.row for sample in rejects.samples} <= set(range(1, len(rows) + 1))


def test_a_malformed_label_is_a_rejected_row(tmp_path: Path) -> None:
    rows = "0\t0\t5\t1\n1\t0\t5\t7\n2\t0\t5\t0\n"
    manifest = make(mmrec(tmp_path / "raw", rows, max_reject_share=0.5), tmp_path / "out").manifest
    assert [(entry["reason"], entry["rows"]) for entry in manifest["rejected"]] == [
        ("x_label is not 0, 1 or 2", 1)
    ]
    assert stored(tmp_path / "out") == [("0", "0", 1), ("2", "0", 0)]


def test_benchmark_files_are_a_split(tmp_path: Path) -> None:
    files = {"a.train": "u\ti\nv\ti\n", "a.valid": "u\tj\n", "a.test": "", "a": "x\ty\n"}
    config = recbole(tmp_path / "raw", files)
    manifest = make(config, tmp_path / "out").manifest
    assert stored(tmp_path / "out") == [("u", "i", 0), ("v", "i", 0), ("u", "j", 1)]
    assert manifest["split"] == {"train": 2, "validation": 1, "test": 0}


def test_benchmark_files_that_are_not_complete(tmp_path: Path) -> None:
    folder = tmp_path / "raw"
    config = recbole(folder, {"a.train": "u\ti\n", "a": "x\ty\n"})
    with pytest.raises(DataError, match=r"a split of 'a' needs three files, missing: a.valid.inter, a.test"):
        survey(config, silent)
    found = survey(recbole(folder, {}, dataset="a.train"), silent)
    assert (found["counts"]["interactions"], found["source_split"]) == (1, None)
    with pytest.raises(DataError, match=r"needs one .inter file, found a.inter, a.train.inter, b.inter"):
        survey(recbole(folder, {"b": "u\ti\n"}), silent)


def test_features_beside_the_items_come_along(tmp_path: Path) -> None:
    folder = tmp_path / "raw"
    config = recbole(folder, {"a": "u\tj\n"})
    np.save(folder / "image.npy", np.array([[1.0], [2.0]]))
    assert survey(config, silent)["counts"]["metadata_rows"] == 0  # nothing tells whose the rows are
    (folder / "a.item").write_text("item_id:token\ni\nj\n")
    make(config, tmp_path / "out")
    assert np.load(tmp_path / "out/features/image.npy").tolist() == [[2.0]]
    make(recbole(folder, {}, features={}), tmp_path / "none")
    assert not (tmp_path / "none/features").exists()


class Given(ListedFiles):
    """One row per file: its label, `none` or `missing`."""

    name: str = "given"

    def read_interactions(self, path: Path, rejects: Rejects) -> Iterator[pl.DataFrame]:
        frame = pl.DataFrame([("u", path.name, None, None)], schema=INTERACTION_COLUMNS, orient="row")
        text = path.read_text()
        label = pl.lit(None if text == "none" else text).cast(LABEL["label"], strict=False)
        yield frame if text == "missing" else frame.with_columns(label.alias("label"))

    def read_items(self, path: Path, rejects: Rejects) -> Iterator[pl.DataFrame]:
        raise AssertionError(f"{path} was not named")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["0", "missing"], "user 'u' with item '1' has no split label, as 1 of 2 rows"),
        (["missing", "2"], "user 'u' with item '0' has no split label, as 1 of 2 rows"),
        (["1", "none", "missing"], "user 'u' with item '1' has no split label, as 2 of 3 rows"),
        (["1", "3"], "1: the split label is not 0, 1 or 2; 1 rows are like this, 1 of 2 are malformed"),
        (["1", "2"], None),
        (["none", "missing"], None),
    ],
)
def test_labels_of_any_source(tmp_path: Path, labels: list[str], message: str | None) -> None:
    paths = []
    for number, label in enumerate(labels):
        paths.append(tmp_path / str(number))
        paths[-1].write_text(label)
    config = PrepareSettings(source=Given(files=tuple(paths)))
    if message is None:
        assert survey(config, silent)["source_split"] == ("kept" if labels == ["1", "2"] else None)
    else:
        with pytest.raises(DataError, match=message):
            survey(config, silent)
