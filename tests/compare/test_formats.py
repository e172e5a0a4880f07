"""Each form of the table, read back."""

from __future__ import annotations

import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from comparisons import entries_of, run

from anchorrec_graph.compare import Comparison, as_json, markdown
from anchorrec_graph.compare.formats import comma_separated, latex, web_page

NASTY = r"a|b_*c*<b>&\{~^}%$#`é"


@pytest.fixture(scope="module")
def nasty(comparison: Comparison, tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """Labels full of signs that each format treats in its own way."""
    first, second = comparison.rows
    return comparison._replace(rows=[first, second._replace(label=NASTY)])


class Cells(HTMLParser):
    """The texts of every table, and the tags that were met."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.tags: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)
        if tag == "meta":
            return
        self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, text: str) -> None:
        if {"td", "th"} & set(self.open):
            self.tables[-1][-1][-1] += text


def pipes(text: str) -> list[list[str]]:
    """The cells of Markdown's table lines, with escapes and marks undone."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines]
    plain = [[re.sub(r"(?<!\\)\*", "", cell.strip()) for cell in line] for line in cells]
    return [[re.sub(r"\\(.)", r"\1", cell) for cell in line] for line in plain]


def test_html_and_markdown_hold_the_same_cells(nasty: Comparison) -> None:
    page = Cells(web_page(nasty))
    assert page.open == []
    results, tests = page.tables
    assert pipes(markdown(nasty)) == results + tests
    assert results[0] == [
        "model", "seeds", *nasty.metrics,
        "s to build", "s / epoch", "s to best epoch", "peak MiB", "parameters",
    ]  # fmt: skip
    assert [row[0] for row in results[1:]] == ["lightgcn", NASTY]
    assert tests[0] == ["minus lightgcn", *nasty.metrics]
    for row, cells in zip(nasty.rows, results[1:], strict=True):
        for name, text in zip(nasty.metrics, cells[2:], strict=False):
            cell = row.cells[name]
            assert text == f"{cell.mean:.4f} ± {cell.sd:.4f}" + (" ≈" if cell.alike else "")
    assert {"script", "link", "img", "a"}.isdisjoint(page.tags)


def test_best_and_second_are_marked(comparison: Comparison) -> None:
    ranks = [cell.rank for row in comparison.rows for cell in row.cells.values()]
    page, text, tex = Cells(web_page(comparison)), markdown(comparison), latex(comparison)
    for rank, tag, stars, command in ((1, "b", "**", r"\textbf{"), (2, "u", "*", r"\underline{")):
        assert ranks.count(rank) == page.tags.count(tag) == tex.count(command) > 0
        for row in comparison.rows:
            for cell in row.cells.values():
                start = f"| {stars}{cell.mean:.4f}"
                assert (start in text) if cell.rank == rank else True


def test_csv_holds_the_exact_numbers(nasty: Comparison) -> None:
    records = list(csv.DictReader(comma_separated(nasty).splitlines()))
    assert [record["label"] for record in records] == ["lightgcn", NASTY]
    for row, record in zip(nasty.rows, records, strict=True):
        for name, cell in row.cells.items():
            assert float(record[f"{name} mean"]) == cell.mean
            assert float(record[f"{name} sd"]) == cell.sd
            for kind in ("t", "wilcoxon"):
                texts = [record[f"{name} {kind} {part}"] for part in ("statistic", "p", "p holm")]
                assert [float(text) for text in texts if text] == list(cell.tests.get(kind, ()))
        assert int(record["parameters"]) == row.cost.parameters


def test_json_is_complete(comparison: Comparison, out: Path) -> None:
    report = json.loads((out / "table.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert report.pop("environment")["packages"]["torch"]
    assert report["reference"] == "lightgcn"
    assert report["evaluate"]["mask"] == ["train", "validation"]
    assert report["dataset"]["name"] == "planted"
    for row, expected in zip(report["rows"], comparison.rows, strict=True):
        assert list(row["seeds"]) == ["0", "1"]
        for seed, result in zip(row["seeds"].values(), expected.results, strict=True):
            assert seed["test"] == result.test
            assert len(seed["config_hash"]) == 12
            metrics = json.loads((Path(seed["run"]) / f"seed-{result.name}/metrics.json").read_text())
            assert metrics["test"] == seed["test"]
            assert metrics["validation"] == seed["validation"]
        for name, cell in expected.cells.items():
            assert row["metrics"][name]["mean"] == cell.mean
            assert row["metrics"][name]["tests"] == {k: t._asdict() for k, t in cell.tests.items()}


def test_json_has_no_infinity(comparison: Comparison) -> None:
    first, second = comparison.rows
    cell = second.cells["Recall@5"]
    endless = cell._replace(tests={"t": cell.tests["t"]._replace(statistic=float("inf"))})
    row = second._replace(cells={**second.cells, "Recall@5": endless})
    report = json.dumps(as_json(comparison._replace(rows=[first, row])), allow_nan=False)
    assert json.loads(report)["rows"][1]["metrics"]["Recall@5"]["tests"]["t"]["statistic"] is None


def test_latex_is_escaped(nasty: Comparison) -> None:
    text = latex(nasty._replace(metrics=["Recall@5"]))
    body = "\n".join(line for line in text.splitlines() if not line.startswith("%"))
    label = (
        r"a|b\_*c*\textless{}b\textgreater{}\&\textbackslash{}\{\textasciitilde{}\textasciicircum{}\}\%\$\#`é"
    )
    assert body.count(label + " & ") == 2
    assert body.count(r"\begin{tabular}") == body.count(r"\end{tabular}") == body.count(r"\toprule") == 2
    for table in body.split(r"\end{tabular}")[:-1]:
        columns = len(re.search(r"\{tabular\}\{(\w+)\}", table)[1])  # type: ignore[index]
        rows = [line for line in table.splitlines() if line.endswith(r"\\")]
        assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {columns - 1}
    assert set("±≈≥").isdisjoint(body)


def test_the_notes_say_what_was_measured(comparison: Comparison) -> None:
    text = web_page(comparison)
    for part in (
        f"Test of planted (interactions and split {comparison.task.hash}), full ranking: 60 users",
        "masked: train, validation",
        "seeds 0, 1",
        "torch 2.",
        "Machine: ",
        "Command: ",
        "not told apart from lightgcn",
    ):
        assert part in text


def test_a_sample_of_users_and_a_limit_of_epochs_are_said(tmp_path: Path) -> None:
    entries = entries_of(tmp_path, "evaluate.max_users=20", "train.patience=9")
    text = markdown(run(entries, tmp_path / "cut", [0, 1]))
    assert "full ranking: 20 drawn of the users with test pairs of 60" in text
    assert "before patience was spent: lightgcn (2)." in text
    patient = entries_of(tmp_path, "train.patience=1", "train.epochs=50")
    assert "before patience" not in markdown(run(patient, tmp_path / "patient", [0]))


def test_one_user_is_not_tested(tmp_path: Path) -> None:
    entries = entries_of(tmp_path, "evaluate.max_users=1")
    for row in run(entries, tmp_path / "out", [0]).rows:
        assert not any(cell.tests for cell in row.cells.values())


def test_a_single_row(out: Path, tmp_path: Path) -> None:
    one = run(entries_of(out / "configs", models=["popularity"]), tmp_path, [0])
    assert len(Cells(web_page(one)).tables) == 1
    assert [len(line) for line in pipes(markdown(one))] == [2 + 3 + 5] * 2
    assert "±" not in pipes(markdown(one))[1][2]
    assert latex(one).count(r"\begin{tabular}") == 1
    assert {path.name for path in tmp_path.glob("table.*")} == {
        "table.md", "table.tex", "table.csv", "table.json", "table.html"
    }  # fmt: skip
