"""anchorrec prepare, and training on what it makes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import Command
from tiny_runs import write_tiny

from anchorrec_graph.data.base import INTERACTS
from anchorrec_graph.data.mmrec import MMRecConfig
from anchorrec_graph.data.prepared import PreparedConfig

COLUMNS = ["-o", "source.user_column=buyer", "-o", "source.rating_column=stars"]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    lines = [f"u{user},i{(user * 3 + step) % 7},{1 + step % 5}" for user in range(8) for step in range(5)]
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(["buyer,item_id,stars", *lines, "u1,i1,many"]) + "\n", encoding="utf-8")
    return path


def test_prepares_and_tells_what_became_of_every_row(anchorrec: Command, rows: Path, tmp_path: Path) -> None:
    command = ["prepare", "table", rows, "--out", tmp_path / "out", *COLUMNS, "--max-reject-share", "0.1"]
    options = ["--min-rating", 2, "--k-core", 2, "--split", "random", "--seed", 3]
    dry = anchorrec(*command, *options, "--dry-run")
    assert dry.code == 0
    assert dry.out.startswith("dry run, nothing written; density ")
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]
    done = anchorrec(*command, *options)
    assert done.code == 0
    assert done.out.splitlines()[0].startswith(f"written: {tmp_path}/out; density ")
    assert done.out.splitlines()[-1] == "samples of malformed rows: rejects.jsonl in the folder"
    assert "rating below 2" in done.out
    assert done.err.splitlines()[0] == f"{rows}: 40 rows of interactions read"
    again = anchorrec(*command, *options, "--json", "--quiet")
    assert again.err == ""
    report = again.json()
    assert report.pop("result") == f"{tmp_path}/out: made before, nothing to do"
    assert report == json.loads((tmp_path / "out/manifest.json").read_text())
    assert report["settings"]["split"] == {"name": "random", "seed": 3}
    assert (report["settings"]["user_core"], report["settings"]["item_core"]) == (2, 2)
    other = anchorrec(*command, "--quiet").error(3)
    assert other.endswith("made from other files or settings; give another --out, or --overwrite")
    assert anchorrec(*command, "--quiet", "--overwrite").code == 0


def test_check(anchorrec: Command, rows: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    anchorrec("prepare", "table", rows, "--out", out, *COLUMNS, "--max-reject-share", "1")
    done = anchorrec("prepare", "--check", out)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"{out}: whole; ")
    path = out / "users.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert "users.parquet: the content is not what" in anchorrec("prepare", "--check", out).error(3)
    assert "manifest.json: no such file" in anchorrec("prepare", "--check", tmp_path).error(3)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "name a SOURCE and its files, or --check FOLDER"),
        (["table"], 2, "name a SOURCE and its files"),
        (["table", "ROWS"], 2, "name --out FOLDER, or --dry-run"),
        (
            ["tabel", "ROWS", "--out", "x"],
            2,
            "prepare: source: unknown source 'tabel'; did you mean 'table'?",
        ),
        (
            ["table", "ROWS", "--out", "x", "--k-core", "5", "--user-core", "5"],
            2,
            "--k-core sets --user-core",
        ),
        (
            ["table", "ROWS", "--out", "x", "--seed", "5"],
            2,
            "--seed is the seed of a split; give --split NAME",
        ),
        (["table", "ROWS", "--out", "x", "--split", "colds"], 2, "unknown split 'colds'"),
        (["table", "ROWS", "--out", "x", "--split", "leave_last", "--seed", "1"], 2, "unknown key 'seed'"),
        (["table", "ROWS", "--out", "x", "-o", "source.user=a"], 2, "unknown key 'user'"),
        (["table", "ROWS", "--out", "x", "-o", "min_ratng=a"], 2, "did you mean 'min_rating'?"),
        (
            ["table", "ROWS", "--out", "x", "--max-reject-share", "2"],
            2,
            "max_reject_share: must be less than",
        ),
        (["table", "none.csv", "--out", "x"], 3, "none.csv: no such file"),
        (["table", "ROWS", "--out", "x"], 3, "user_id"),
        (
            ["table", "ROWS", "--out", "x", *COLUMNS],
            3,
            "1 of 41 are malformed, more than max_reject_share 0.01",
        ),
    ],
)
def test_usage(
    anchorrec: Command, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    arguments: list[str], code: int, message: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    given = [rows if argument == "ROWS" else argument for argument in arguments]
    assert message in anchorrec("prepare", *given, "--quiet").error(code)
    assert not (tmp_path / "x").exists()


def test_interrupted(anchorrec: Command, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    command = ["prepare", "table", rows, "--out", tmp_path / "out", *COLUMNS, "--max-reject-share", 1, "-q"]
    with monkeypatch.context() as patch:
        patch.setattr("anchorrec_graph.prepare.content.encode", interrupt)
        done = anchorrec(*command)
    assert done == (130, "", "interrupted; the same command goes on with what was read\n")
    assert not (tmp_path / "out").exists()
    assert anchorrec(*command).code == 0


def mmrec_folder(folder: Path) -> Path:
    """A folder whose ids are numbered by appearance, as prepare numbers them."""
    folder.mkdir()
    rng, seen = np.random.default_rng(0), list[int]()
    lines = []
    for user in range(60):
        for drawn in rng.choice(30, size=8, replace=False).tolist():
            seen += [] if drawn in seen else [drawn]
            lines.append(f"{user}\t{seen.index(drawn)}\t{rng.integers(1, 6)}\t{rng.integers(10**6)}")
    (folder / "shop.inter").write_text("\n".join(["userID\titemID\trating\ttimestamp", *lines]) + "\n")
    for modality, dim in (("image", 8), ("text", 6)):
        np.save(folder / f"{modality}_feat.npy", rng.standard_normal((len(seen), dim)).astype(np.float32))
    return folder


def test_a_prepared_folder_trains_as_its_mmrec_folder_does(anchorrec: Command, tmp_path: Path) -> None:
    raw, out = mmrec_folder(tmp_path / "raw"), tmp_path / "out"
    assert anchorrec("prepare", "mmrec", raw, "--out", out, "--quiet").code == 0
    reports: dict[str, Any] = {}
    for name, folder in (("mmrec", raw), ("prepared", out)):
        config = write_tiny(tmp_path, f"dataset={{name: {name}, folder: {folder}}}", "train.epochs=2")
        run = tmp_path / name
        reports[name] = anchorrec("train", "-c", config, "--run-dir", run, "--json", "--quiet").json()
        reports[name]["manifest"] = json.loads((run / "manifest.json").read_text())
    first, second = reports.values()
    for part in ("counts", "split", "items", "features"):
        assert first["manifest"][part] == second["manifest"][part]
    assert first["test"] == second["test"]
    edges = [
        config(folder=folder).load()[INTERACTS]
        for config, folder in ((MMRecConfig, raw), (PreparedConfig, out))
    ]
    assert all(edges[0][name].equal(edges[1][name]) for name in edges[0].keys())  # noqa: SIM118


def test_help(anchorrec: Command) -> None:
    done = anchorrec("prepare", "--help")
    assert (done.code, done.err) == (0, "")
    assert "Usage: anchorrec prepare [OPTIONS] [SOURCE] [PATH]..." in done.out
    assert "amazon2014" in done.out
