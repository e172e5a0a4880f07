"""An audit as text and files."""

from __future__ import annotations

import json
import re
from pathlib import Path

import polars as pl
import pytest
from audit_world import EVALUATE, audit_of, random_model, shop

from anchorrec_graph.audit import (
    Audit,
    Audited,
    Limits,
    as_json,
    audit_models,
    check_limits,
    markdown,
    write_audit,
)
from anchorrec_graph.errors import ConfigError


@pytest.fixture(scope="module")
def found() -> Audit:
    data = shop()
    models = [random_model(seed) for seed in range(2)]
    seeds = [Audited("model", seed, embeddings) for seed, embeddings in enumerate(models)]
    return audit_models(seeds, data, EVALUATE, ["genres", "country", "popularity"], without="each", least=5)


def rows_of(text: str, title: str) -> list[list[str]]:
    """The cells of the table below a heading."""
    section = text.partition(f"## {title}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in [lines[0], *lines[2:]]]


def test_one_model(found: Audit) -> None:
    text = markdown(found)
    assert text.startswith(
        "# Audit of model (seeds 0, 1) on planted\n\nLists: the 6 best of 50 items for each of 60"
    )
    assert max(map(len, text.splitlines())) <= 110
    columns, *rows = rows_of(text, "Items by genres")
    assert columns == ["group", "items", "% items", "% training", "% places", "lift", "Recall@6"]
    table = found.wide("items", "genres", "model")
    assert [row[0] for row in rows] == table["group"].to_list()
    for row, values in zip(rows, table.rows(named=True), strict=True):
        assert row[1] == f"{values['size']:.0f}"
        assert row[4] == f"{values['exposure'] * 100:.1f}"
        assert row[5].startswith(f"{values['lift']:.2f} [")
        assert row[6].startswith(f"{values['recall']:.3f} [")
    assert "add up to more than 100 %" in text
    assert rows_of(text, "Users by country")[-1][:2] == ["(all)", "60"]
    columns, *rows = rows_of(
        text, "model: each measure without one view (removed from the trained model, not retrained)"
    )
    assert columns == ["", "all views", "no id", "no image", "no extra"]
    assert [row[0] for row in rows][:2] == ["Recall@6", "NDCG@6"]
    gaps = rows_of(text, "Gaps: largest minus smallest group")
    assert gaps[0] == ["measure", "largest", "smallest", "gap", "± seeds", "95 % interval"]
    assert {row[0] for row in gaps[1:]} >= {
        "lift by genres",
        "recall by country",
        "popularity lift by country",
    }


def test_several_models_stand_side_by_side() -> None:
    data = shop()
    models = [Audited(label, 0, random_model(seed)) for seed, label in enumerate("abc")]
    found = audit_models(models, data, EVALUATE, ["genres", "country"], least=5)
    text = markdown(found)
    assert max(map(len, text.splitlines())) <= 110
    columns, *rows = rows_of(text, "Recall@6: items by genres")
    assert columns == ["group", "items", "a", "b", "c"]
    for place, label in enumerate("abc", start=2):
        values = found.wide("items", "genres", label)["recall"].to_list()
        assert [row[place] for row in rows] == [f"{value:.3f}" for value in values]
    assert rows_of(text, "Gaps: largest minus smallest group")[0][0] == "model"
    assert "each measure without" not in text


def test_limits_are_shown(found: Audit) -> None:
    limits = Limits.model_validate(
        {"rules": [{"measure": "recall", "min": 0}, {"measure": "gini", "max": 0.01}]}
    )
    checks = check_limits(found, limits)
    _, first, second = rows_of(markdown(found, checks), "Limits: 1 of 2 hold")
    assert first[:3] == ["holds", "model", "recall"]
    assert second[0] == "EXCEEDED"
    assert second[-1] == "max 0.01"


def test_the_first_groups_and_how_many_more(found: Audit) -> None:
    _, *rows = rows_of(markdown(found, most=2), "Items by popularity")
    assert [row[0] for row in rows] == ["q1", "q2", "2 more", "(all)"]
    assert [row[0] for row in rows_of(markdown(found, most=4), "Items by popularity")] == [
        "group", "q1", "q2", "q3", "q4", "(all)"
    ]  # fmt: skip


def test_names_neither_break_tables_nor_control_the_terminal() -> None:
    data = shop()
    names = ["a\x1b[31m\nb", "very " * 20, "x"]
    data["item"].table = data["item"].table.with_columns(brand=pl.Series([[names[n % 3]] for n in range(50)]))
    text = markdown(audit_of(data, random_model(), by=["brand"], least=5))
    assert "\x1b" not in text
    assert {len(row) for row in rows_of(text, "Items by brand")} == {7}
    assert "| a [31m b" in text
    piped = audit_of(data, random_model(), by=["brand"], least=5)
    relabelled = piped._replace(groups=piped.groups.with_columns(group=pl.col("group").replace("x", "p|q")))
    assert "| p\\|q " in markdown(relabelled)


def test_files_hold_the_same(found: Audit, tmp_path: Path) -> None:
    checks = check_limits(found, Limits.model_validate({"rules": [{"measure": "gini", "max": 0.01}]}))
    for suffix in ("json", "csv", "parquet", "md"):
        write_audit(found, checks, tmp_path / f"new/a.{suffix}")
    report = json.loads((tmp_path / "new/a.json").read_text())
    assert report == json.loads(json.dumps(as_json(found, checks)))
    assert report["limits"][0]["holds"] is False
    assert pl.DataFrame(report["groups"], found.groups.schema).equals(found.groups)
    assert report["about"]["seeds"] == {"model": [0, 1]}
    flat = pl.read_parquet(tmp_path / "new/a.parquet")
    assert flat.columns == [
        "model", "without", "of", "by", "measure", "group", "against", "value", "sd", "low", "high"
    ]  # fmt: skip
    assert len(flat) == len(found.groups) + len(found.gaps)
    assert flat.filter(against="").drop("against").equals(found.groups)
    again = pl.read_csv(tmp_path / "new/a.csv", schema=flat.schema)
    assert again.with_columns(pl.col(pl.String).fill_null("")).equals(flat)
    assert (tmp_path / "new/a.md").read_text() == markdown(found, checks)
    with pytest.raises(ConfigError, match=r"a.txt: the file must end in .json or .csv or .parquet or .md"):
        write_audit(found, checks, tmp_path / "a.txt")
