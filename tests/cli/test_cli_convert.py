"""anchorrec convert, and anchorrec prepare of what it makes."""

from __future__ import annotations

from pathlib import Path

import pytest
from command import Command

SPLIT = ["--split", "random", "--quiet"]


@pytest.fixture
def prepared(anchorrec: Command, tmp_path: Path) -> Path:
    rows = "".join(f"u{n % 4},i{n},5\n" for n in range(20))
    (tmp_path / "rows.csv").write_text("user_id,item_id,rating\n" + rows, encoding="utf-8")
    out = tmp_path / "films"
    rating = ["-o", "source.rating_column=rating"]
    assert anchorrec("prepare", "table", tmp_path / "rows.csv", "--out", out, *rating, *SPLIT).code == 0
    return out


def test_there_and_back(anchorrec: Command, prepared: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for to, folder, options in (
        ("mmrec", out / "mmrec", ["-o", "source.items_file=items.jsonl"]),
        ("recbole", out / "recbole/films", []),
    ):
        done = anchorrec("convert", prepared, "--to", to, "--out", out / to)
        assert (done.code, done.err) == (0, "")
        assert done.out == f"written: {out / to}; how to load it: README.txt in the folder\n"
        report = anchorrec(
            "prepare", to, folder, "--out", tmp_path / f"again-{to}", *options, "--json", "-q"
        ).json()
        assert report["split"] == {"train": 12, "validation": 4, "test": 4}
        assert report["source_split"] == "kept"
        table = anchorrec("prepare", to, folder, "--dry-run", *options, *SPLIT)
        assert [line.split() for line in table.out.splitlines() if "replaced" in line] == [
            ["│", "split", "│", "of", "the", "source", "│", "replaced", "│"]
        ]
    again = anchorrec("convert", prepared, "--to", "mmrec", "--out", out / "mmrec", "--overwrite", "--json")
    assert again.json() == {"folder": str(out / "mmrec"), "notes": []}


def test_usage(anchorrec: Command, prepared: Path, tmp_path: Path) -> None:
    line = anchorrec("convert", prepared, "--to", "mmrek", "--out", tmp_path / "x").error(2)
    assert line == "unknown format 'mmrek'; did you mean 'mmrec'?"
    line = anchorrec("convert", tmp_path, "--to", "mmrec", "--out", tmp_path / "x").error(3)
    assert line.endswith("manifest.json: no such file; make the folder with anchorrec prepare")
    assert not (tmp_path / "x").exists()
