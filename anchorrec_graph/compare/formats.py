"""The table as Markdown, LaTeX, CSV, JSON and HTML."""

from __future__ import annotations

import csv
import html
import io
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from anchorrec_graph.compare.comparison import Comparison
from anchorrec_graph.compare.layout import Grid, Text, notes, results_grid, tests_grid
from anchorrec_graph.compare.table import TESTS, Row
from anchorrec_graph.files import replacing, save_json

TESTED = "Difference of means (p of the paired t-test, p of Wilcoxon's test, both Holm-corrected)"
LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#",
    "_": r"\_", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "≈": r"$\approx$",
    "≥": r"$\geq$", "<": r"\textless{}", ">": r"\textgreater{}",
}  # fmt: skip
STYLE = (
    "body{font-family:sans-serif;margin:2em}table{border-collapse:collapse;margin:1em 0}"
    "th,td{padding:.3em .7em;text-align:right;border-bottom:1px solid #ccc;white-space:nowrap}"
    "th:first-child,td:first-child{text-align:left}p{max-width:60em;color:#444}"
)


def write_tables(comparison: Comparison, folder: Path) -> None:
    """`table.md`, `.tex`, `.csv`, `.json` and `.html` in `folder`."""
    texts: Mapping[str, Callable[[Comparison], str]] = {
        "md": markdown, "tex": latex, "csv": comma_separated, "html": web_page
    }  # fmt: skip
    for suffix, write in texts.items():
        with replacing(folder / f"table.{suffix}") as temporary:
            temporary.write_text(write(comparison), encoding="utf-8")
    save_json(folder / "table.json", as_json(comparison))


def markdown(comparison: Comparison) -> str:
    """Two pipe tables and the notes as a list. Best: `**bold**`, second: `*italic*`."""
    parts = [_pipes(results_grid(comparison))]
    if len(comparison.rows) > 1:
        parts += [f"{TESTED}:", _pipes(tests_grid(comparison))]
    return "\n\n".join([*parts, "\n".join(f"- {_plain(note)}" for note in notes(comparison))]) + "\n"


def _pipes(grid: Grid) -> str:
    marks = {1: "**", 2: "*", None: ""}
    lines = [_line(map(_plain, grid.columns)), "|---|" + "---:|" * (len(grid.columns) - 1)]
    for row in grid.rows:
        lines.append(_line(f"{marks[rank]}{_plain(text)}{marks[rank]}" for text, rank in row))
    return "\n".join(lines)


def _line(cells: Any) -> str:
    return "| " + " | ".join(cells) + " |"


def _plain(text: str) -> str:
    """Text that Markdown shows as it is."""
    return re.sub(r"([\\`*_\[\]<>|])", r"\\\1", text)


def latex(comparison: Comparison) -> str:
    """Two tables for the package booktabs, the notes as comments. Best bold, second underlined."""
    lines = [f"% {note}" for note in notes(comparison)] + [_tabular(results_grid(comparison))]
    if len(comparison.rows) > 1:
        lines += [f"% {TESTED}", _tabular(tests_grid(comparison))]
    return "\n".join(lines) + "\n"


def _tabular(grid: Grid) -> str:
    form = {1: r"\textbf{%s}", 2: r"\underline{%s}", None: "%s"}
    header = " & ".join(map(_escape_latex, grid.columns))
    rows = [" & ".join(form[rank] % _escape_latex(text) for text, rank in row) for row in grid.rows]
    lines = [r"\begin{tabular}{l" + "r" * (len(grid.columns) - 1) + "}", r"\toprule", header + r" \\"]
    return "\n".join([*lines, r"\midrule", *(row + r" \\" for row in rows), r"\bottomrule", r"\end{tabular}"])


def _escape_latex(text: str) -> str:
    return "".join(LATEX.get(letter, letter) for letter in text)


def web_page(comparison: Comparison) -> str:
    """One page without links to other files. Best bold, second underlined."""
    title = f"Comparison on {comparison.task.data.manifest['name']}"
    body = [f"<h1>{html.escape(title)}</h1>", _web_table(results_grid(comparison))]
    if len(comparison.rows) > 1:
        body += [f"<h2>{html.escape(TESTED)}</h2>", _web_table(tests_grid(comparison))]
    body += [f"<p>{html.escape(note)}</p>" for note in notes(comparison)]
    head = f'<meta charset="utf-8"><title>{html.escape(title)}</title><style>{STYLE}</style>'
    return "\n".join(
        ["<!DOCTYPE html>", f'<html lang="en"><head>{head}</head><body>', *body, "</body></html>\n"]
    )


def _web_table(grid: Grid) -> str:
    rows = ["".join(f"<th>{html.escape(column)}</th>" for column in grid.columns)]
    rows += ["".join(f"<td>{_web_cell(cell)}</td>" for cell in row) for row in grid.rows]
    return "\n".join(["<table>", *(f"<tr>{row}</tr>" for row in rows), "</table>"])


def _web_cell(cell: Text) -> str:
    form = {1: "<b>%s</b>", 2: "<u>%s</u>", None: "%s"}
    return form[cell.rank] % html.escape(cell.text)


def comma_separated(comparison: Comparison) -> str:
    """One line per row with unrounded numbers; a field without a value is empty."""
    records = [_record(row, comparison.metrics) for row in comparison.rows]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(records[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()


def _record(row: Row, metrics: list[str]) -> dict[str, object]:
    record: dict[str, object] = {"label": row.label, "seeds": len(row.results)}
    for name in metrics:
        mean, sd, rank, difference, tests = row.cells[name]
        record |= {f"{name} mean": mean, f"{name} sd": sd, f"{name} rank": rank}
        record[f"{name} difference"] = difference
        for kind in TESTS:
            tested = tests.get(kind)
            record[f"{name} {kind} statistic"] = tested.statistic if tested else None
            record[f"{name} {kind} p"] = tested.p_value if tested else None
            record[f"{name} {kind} p holm"] = tested.holm if tested else None
    return record | row.cost._asdict()


def as_json(comparison: Comparison) -> dict[str, Any]:
    """Everything: each seed's metrics, costs and origin, the tests, data, evaluation and environment."""
    task = comparison.task
    return {
        "dataset": {"name": task.data.manifest["name"], "hash": task.hash, **task.pairs._asdict()},
        "test_users": task.num_test_users,
        "evaluate": task.evaluate.model_dump(mode="json"),
        "seeds": comparison.seeds,
        "metrics": comparison.metrics,
        "reference": comparison.reference,
        "rows": [_json_row(row) for row in comparison.rows],
        "failures": [failure._asdict() for failure in comparison.failures],
        "environment": comparison.environment,
    }


def _json_row(row: Row) -> dict[str, Any]:
    metrics = {}
    for name, cell in row.cells.items():
        tests = {
            # a difference that is the same for every user has an infinite t, which JSON has not
            kind: test._replace(statistic=test.statistic if math.isfinite(test.statistic) else None)._asdict()  # type: ignore[arg-type]
            for kind, test in cell.tests.items()
        }
        metrics[name] = {**cell._asdict(), "alike": cell.alike, "tests": tests}
    return {
        "label": row.label,
        "metrics": metrics,
        "cost": row.cost._asdict(),
        "seeds": {r.name: {"test": r.test, "cost": r.cost._asdict(), **r.origin} for r in row.results},
    }
