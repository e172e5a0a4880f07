"""anchorrec audit."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from command import Command

from anchorrec_graph.audit import audit


@pytest.fixture
def limits(tmp_path: Path) -> Path:
    return tmp_path / "limits.yaml"


def test_tables(anchorrec: Command, run: Path) -> None:
    done = anchorrec("audit", run, "-k", 5, "--views", "--min-size", 5)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("# Audit of anchorrec (seed 0) on planted\n")
    for title in (
        "Items by popularity",
        "Users by activity",
        "Gaps: largest",
        "anchorrec: each measure without",
    ):
        assert f"\n## {title}" in done.out
    assert "no image" in done.out
    assert "\n## Limits" not in done.out
    assert max(map(len, done.out.splitlines())) <= 110


def test_json_is_the_audit(anchorrec: Command, run: Path) -> None:
    report = anchorrec(
        "audit", run, "--by", "popularity", "--by", "activity", "-k", 5, "--without", "id", "--json"
    ).json()
    expected = audit([run], ["popularity", "activity"], k=5, without=["id"])
    assert report["groups"] == expected.groups.to_dicts()
    assert report["gaps"] == expected.gaps.to_dicts()
    assert report["about"]["split"] == "test"
    assert {row["without"] for row in report["groups"]} == {"", "id"}
    assert report["limits"] == []
    validation = anchorrec("audit", run, "--split", "validation", "--seed", 0, "--json").json()
    assert validation["about"]["mask"] == ["train"]


def test_limits_that_hold(anchorrec: Command, run: Path, limits: Path) -> None:
    limits.write_text("rules: [{measure: recall, min: 0}, {measure: lift_gap, by: popularity, max: 99}]")
    done = anchorrec("audit", run, "--limits", limits, "--by", "activity", "--min-size", 5)
    assert (done.code, done.err) == (0, "")
    assert "## Limits: 2 of 2 hold" in done.out
    assert "## Items by popularity" in done.out  # the limits need it


def test_exceeded_limits_give_exit_code_6_and_a_line_each(
    anchorrec: Command, run: Path, limits: Path, tmp_path: Path
) -> None:
    limits.write_text(
        "rules: [{measure: recall, min: 0.99}, {measure: recall, min: 0}, {measure: gini, max: 0}]"
    )
    out = tmp_path / "audit.json"
    done = anchorrec("audit", run, "--limits", limits, "--out", out)
    assert done.code == 6
    assert "## Limits: 1 of 3 hold" in done.out
    assert done.out.endswith(f"written: {out}\n")
    first, second = done.err.splitlines()
    assert first.startswith("limit exceeded: anchorrec: recall is 0.")
    assert "below its limit 0.99" in first
    assert second.startswith("limit exceeded: anchorrec: gini is 0.")
    assert [check["holds"] for check in json.loads(out.read_text())["limits"]] == [False, True, False]
    quiet = anchorrec("audit", run, "--limits", limits, "--json")
    assert quiet.code == 6
    assert quiet.err == done.err
    assert [check["holds"] for check in json.loads(quiet.out)["limits"]] == [False, True, False]


def test_files(anchorrec: Command, run: Path, tmp_path: Path) -> None:
    out = tmp_path / "audit.parquet"
    assert anchorrec("audit", run, "--by", "cold", "--out", out).code == 0
    assert set(pl.read_parquet(out)["by"]) == {"(all)", "cold"}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--by", "populrity"], 2, "groups by unknown column 'populrity'; did you mean 'popularity'?"),
        (["--without", "imag"], 2, "--without: unknown view 'imag'; did you mean 'image'?"),
        (["--without", "image", "--views"], 2, "--views removes every view; leave out --without"),
        (["--out", "a.xls"], 2, "--out a.xls: the file must end in .json or .csv or .parquet or .md"),
        (["--limits", "none.yaml"], 2, "none.yaml: cannot be read; an example is configs/audit.yaml"),
        (["--seed", 7], 4, "{run}: has no seed 7; it has 0"),
    ],
)
def test_errors(anchorrec: Command, run: Path, arguments: list[str], code: int, message: str) -> None:
    assert anchorrec("audit", run, *arguments).error(code) == message.format(run=run)


def test_wrong_limits_are_refused_before_the_work(anchorrec: Command, limits: Path, tmp_path: Path) -> None:
    limits.write_text("rules: [{measure: recall_gab, by: activity, max: 1}]")
    message = "rules.0.measure: unknown measure 'recall_gab'; did you mean 'recall_gap'?"
    assert anchorrec("audit", tmp_path, "--limits", limits).error(2) == f"{limits}: {message}"


def test_limits_without_data_give_exit_code_2(anchorrec: Command, run: Path, limits: Path) -> None:
    limits.write_text("rules: [{measure: lift, by: brand, max: 1}]")
    line = anchorrec("audit", run, "--limits", limits).error(2)
    assert line.startswith(
        "limit 'lift by brand': the audit of anchorrec has no such value; unknown grouping"
    )
    assert "groups by unknown column 'brand'" in anchorrec(
        "audit", run, "--limits", limits, "--by", "cold"
    ).error(2)
    limits.write_text("rules: [{measure: lift, by: popularity, group: q9, max: 1}]")
    assert "unknown group 'q9'" in anchorrec("audit", run, "--limits", limits, "--min-size", 2).error(2)


def test_help_names_the_exit_code(anchorrec: Command) -> None:
    assert "6 a limit of an audit exceeded" in " ".join(anchorrec("--help").out.split())
    assert "exit code is 6" in " ".join(anchorrec("audit", "--help").out.split())
