"""anchorrec recommend"""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from command import Command
from polars.testing import assert_frame_equal

from anchorrec_graph.cli.recommend import parse_filters, print_recommendations, write_csv
from anchorrec_graph.serve.catalog import Catalog


def test_table_per_user(anchorrec: Command, run: Path) -> None:
    done = anchorrec("recommend", run, "-u", "u3", "-u", "u1", "-u", "u3", "-k", 2)
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert [line for line in lines if line.startswith("for user")] == ["for user u3", "for user u1"]
    assert [line[:8] for line in lines if line.startswith("│    ") and line[5] != " "] == [
        "│    1 │",
        "│    2 │",
    ] * 2


def test_json(anchorrec: Command, run: Path) -> None:
    report = anchorrec("recommend", run, "-u", "u3", "-k", 3, "--json").json()
    expected = Catalog.from_run(run).recommend(["u3"], k=3)
    assert report == {"run": str(run), "recommendations": expected.to_dicts()}
    row = report["recommendations"][0]
    assert row["score"] == pytest.approx(
        sum(value for name, value in row.items() if name.endswith("_part")), abs=1e-5
    )


def test_seen_items_on_demand(anchorrec: Command, run: Path) -> None:
    few, all_items = (
        anchorrec("recommend", run, "-u", "u3", "-k", 99, "--json", *more).json()["recommendations"]
        for more in ([], ["--seen"])
    )
    assert len(few) < len(all_items) == 40


def test_filters(anchorrec: Command, run: Path) -> None:
    arguments = ["-u", "u3", "-k", 40, "--seen", "--json", "-f", "look=1", "-f", "look=2", "-f", "words=0"]
    rows = anchorrec("recommend", run, *arguments).json()["recommendations"]
    assert rows
    assert all(row["look"] in (1, 2) and row["words"] == 0 for row in rows)


def test_nothing_left_says_so(anchorrec: Command, run: Path) -> None:
    seen = Catalog.from_run(run).contents.known.pairs[1, 0]
    done = anchorrec("recommend", run, "-u", "u0", "-f", f"item_id=i{seen}")
    assert (
        done.out == "for user u0: nothing; no item passes the filters that the user does not already have\n"
    )


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_out_for_all_users(anchorrec: Command, run: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / "new/top" / f"all{suffix}"
    done = anchorrec("recommend", run, "-k", 3, "--out", out)
    assert done == (0, f"180 recommendations written to {out}\n", "")
    read = pl.read_parquet(out) if suffix == ".parquet" else pl.read_csv(out)
    assert_frame_equal(read, Catalog.from_run(run).recommend(k=3), check_dtypes=False)
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_out_with_json_and_quiet(anchorrec: Command, run: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.csv"
    report = anchorrec("recommend", run, "-u", "u1", "-k", 3, "--out", out, "--json").json()
    assert report == {"run": str(run), "out": str(out), "recommendations": 3}
    assert anchorrec("recommend", run, "-u", "u1", "--out", out, "-q") == (0, "", "")


def test_out_is_whole_or_the_old_one(
    anchorrec: Command, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "a.csv"
    out.write_text("old")

    def fail(_: pl.DataFrame, path: Path) -> None:
        path.write_text("half")
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(pl.DataFrame, "write_csv", fail)
    assert anchorrec("recommend", run, "--out", out).error(1).endswith("no space left on device")
    assert out.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "name at least one --user, items of a --history, or --out FILE for all users"),
        (["--json"], 2, "name at least one --user, items of a --history, or --out FILE for all users"),
        (["--out", "a.xls"], 2, "--out a.xls: the file must end in .parquet or .csv"),
        (["-u", "u1", "-f", "look"], 2, "filter 'look': expected column=value, for example genres=Comedy"),
        (["-u", "nobody"], 3, "unknown user 'nobody'; ids look like 'u0'"),
        (["-u", "u1", "-f", "lok=1"], 3, "filter: unknown item column 'lok'; did you mean 'look'?"),
        (["-u", "u1", "-f", "look=99"], 3, "filter: no item has look '99'; its numbers run from 0 to 3"),
        (["-u", "u1", "--seed", "7"], 4, "{run}: has no seed 7; it has 0"),
    ],
)
def test_errors(anchorrec: Command, run: Path, arguments: list[str], code: int, message: str) -> None:
    assert anchorrec("recommend", run, *arguments).error(code) == message.format(run=run)


def test_parse_filters() -> None:
    assert parse_filters(["a=1", "b=x=y", "a=2", "c="]) == {"a": ["1", "2"], "b": ["x=y"], "c": [""]}


def recommendations(**columns: object) -> pl.DataFrame:
    table = {"user_id": "u", "rank": 1, "title": "T", "score": 0.5, "id_part": 0.6, "text_part": -0.1}
    return pl.DataFrame({name: [value] for name, value in (table | columns).items()})


def test_shares_of_a_score(capsys: pytest.CaptureFixture[str]) -> None:
    print_recommendations("for u", recommendations())
    assert "120 % │ -20 %" in capsys.readouterr().out


def test_a_score_that_is_not_positive_has_no_shares(capsys: pytest.CaptureFixture[str]) -> None:
    print_recommendations("for u", recommendations(score=0.0))
    assert "│  - │    - │" in capsys.readouterr().out


def test_titles_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    """Not as markup, and without control codes."""
    print_recommendations("for [b]u[/b]", recommendations(title="[rec] [/x] :smile:\x1b[31m\nIt's"))
    out = capsys.readouterr().out
    assert out.startswith("for [b]u[/b]\n")
    assert "│ [rec] [/x] :smile: [31m It's │" in out


def test_lists_in_csv(tmp_path: Path) -> None:
    table = pl.DataFrame(
        {"item_id": ["a", "b", "c"], "tags": [["x", "y"], [], None], "sizes": [[1], [2, 3], []]}
    )
    write_csv(table, tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text() == 'item_id,tags,sizes\na,x|y,1\nb,"",2|3\nc,,""\n'
