"""anchorrec diagnose"""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from command import Command
from polars.testing import assert_frame_equal
from tiny_runs import tiny_config

from anchorrec_graph.diagnose.measures import FAMILIES, MEASURES
from anchorrec_graph.diagnose.runs import diagnose_runs
from anchorrec_graph.diagnose.summary import long_table
from anchorrec_graph.train.fit import fit


@pytest.fixture(scope="session")
def second(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LightGCN with two seeds, and the weights of every epoch."""
    folder = tmp_path_factory.mktemp("second")
    config = tiny_config(folder, "train.epochs=2", "train.seeds=[0, 1]", "train.snapshot_every=1")
    return fit(config, config.dataset.load(), folder / "run").folder


def test_runs_side_by_side(anchorrec: Command, run: Path, second: Path) -> None:
    done = anchorrec("diagnose", run, second, "-k", 5)
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert max(map(len, lines)) <= 110
    assert lines[:2] == [f"anchorrec: {run}, seed 0", f"lightgcn: {second}, seeds 0, 1"]
    for family, question in FAMILIES.items():
        assert f"{family.upper()}: {question}" in lines
    for measure in ("overlap", "paired distance", "effective rank", "shapley", "gini"):
        assert f"  {measure}: {MEASURES[measure].reads}" in lines
    (row,) = [line for line in lines if line.startswith("    final | image features") and "±" in line][:1]
    assert row.count("→") == 2  # before and after, of both
    (id_view,) = [line for line in lines if line.startswith("    id view | image view")][:1]
    assert id_view.endswith("  -")  # LightGCN has no image view
    assert "5 neighbours by cosine among all 40 items; scores and lists on validation" in lines[-2]
    assert lines[-1] == "Every number, also by popularity: --out FILE"


def test_many_runs_fit_the_width(anchorrec: Command, run: Path, second: Path, tmp_path: Path) -> None:
    others = []
    for number in range(4):
        config = tiny_config(tmp_path, "train.epochs=1", f"train.seeds=[{number}]")
        others.append(fit(config, config.dataset.load(), tmp_path / f"run-{number}").folder)
    lines = anchorrec("diagnose", run, second, *others, "-k", 5).out.splitlines()
    assert max(map(len, lines[6:])) <= 110
    assert sum("lightgcn 5" in line for line in lines) > len(FAMILIES)  # a column in every family


def test_json_and_one_stage(anchorrec: Command, run: Path, second: Path) -> None:
    report = anchorrec("diagnose", second, "--stage", "after", "-k", 5, "--seed", 1, "--json").json()
    (found,) = diagnose_runs([second], stage="after", k=5, seed=1)
    (one,) = report["runs"]
    assert one["table"] == found.table.to_dicts()
    assert (one["label"], one["folder"], one["seeds"]) == ("lightgcn", str(second), [1])
    assert report["measures"]["cka"] == MEASURES["cka"]._asdict()
    shown = anchorrec("diagnose", run, "--stage", "before", "-k", 5).out
    assert "before training ± sd over seeds" in shown
    assert "→" not in shown


def test_epochs(anchorrec: Command, run: Path, second: Path) -> None:
    out = anchorrec("diagnose", second, "--epochs", "--stage", "after", "-k", 5).out
    assert "lightgcn BY EPOCH" in out
    (line,) = [line for line in out.splitlines() if line.startswith("    1: ")][:1]
    assert "   2: " in line
    assert "no weights of single epochs" in anchorrec("diagnose", run, "--epochs", "-k", 5).error(4)


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".json", ".md"])
def test_out(anchorrec: Command, run: Path, second: Path, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"new/all{suffix}"
    assert anchorrec("diagnose", second, run, "-k", 5, "--out", path, "--quiet") == (0, "", "")
    diagnoses = diagnose_runs([second, run], k=5)
    table = long_table(diagnoses)
    if suffix == ".json":
        assert json.loads(path.read_text())["runs"][1]["table"] == diagnoses[1].table.to_dicts()
    elif suffix == ".md":
        text = path.read_text(encoding="utf-8")
        rows = table.unique(["measure", "space", "against", "group", "stage"])
        assert text.count("\n| ") == len(rows) + len(FAMILIES)
        place = {"space": "final", "against": "native/text", "group": "q4", "stage": "after"}
        means = (
            table.filter(measure="cka", **place)
            .group_by("run", maintain_order=True)
            .agg(pl.col("value").mean())
        )
        mean, single = means["value"]
        assert f"| cka | final | native/text | q4 | after | {mean:.3f} ± " in text
        assert f" | {single:.3f} |" in text
    else:
        read = pl.read_csv(path).fill_null("") if suffix == ".csv" else pl.read_parquet(path)
        assert_frame_equal(read, table)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--out", "a.xls"], 2, "--out a.xls: the file must end in .json, .csv, .parquet, .md"),
        (["--seed", "7"], 4, "{run}: has no seed 7; it has 0"),
        (["-k", "30"], 3, "trustworthiness needs k below half of the 40 items with a feature, not 30"),
    ],
)
def test_errors(anchorrec: Command, run: Path, arguments: list[str], code: int, message: str) -> None:
    assert anchorrec("diagnose", run, *arguments).error(code) == message.format(run=run)
    assert anchorrec("diagnose", run, run).error(2).endswith("is named 2 times; name every run once")
