"""Delimited text against loops and the csv module; blocks with and without quotes alike."""

from __future__ import annotations

import csv
import functools
import io
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reading import write

from anchorrec_graph.errors import DataError
from anchorrec_graph.prepare.rejects import Rejects
from anchorrec_graph.prepare.sources import csv_rows as module
from anchorrec_graph.prepare.sources.csv_rows import CSV, TSV, Dialect, csv_rows
from anchorrec_graph.prepare.sources.lines import read_blocks

Rows = list[tuple[int, tuple[str | None, ...]]]  # number, fields


def parse(text: str, dialect: Dialect = CSV, chunk: int = 1 << 22) -> tuple[Rows, list[tuple[int, str, str]]]:
    """Rows, and the rejects as (row, reason, text)."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "read_blocks", functools.partial(read_blocks, chunk=chunk))
        path, rejects, rows = write(Path(folder) / "a.csv", text), Rejects(), []
        for block in csv_rows(
            path, dialect, lambda columns: dict(zip(columns, columns, strict=True)), rejects
        ):
            for position, fields in enumerate(block.frame.iter_rows()):
                rows.append((int(block.number[position]), fields))
                assert block.text(position)
    return rows, [(reject.row, reject.reason, reject.text) for reject in rejects.samples]


def naive(text: str, separator: str) -> tuple[Rows, list[tuple[int, str, str]]]:
    """Unquoted rows line by line."""
    header, *lines = text.replace("\r\n", "\n").split("\n")
    width, rows, rejects = len(header.split(separator)), [], []
    for number, line in enumerate(lines, start=1):
        fields = line.split(separator)
        if line and len(fields) == width:
            rows.append((number, tuple(field or None for field in fields)))
        elif line:
            rejects.append((number, f"too {'many' if len(fields) > width else 'few'} fields", line))
    return rows, rejects


plain_lines = st.lists(st.text("ab,\t é#\x1f\0\ufeff\U0001f600", max_size=12), max_size=15)


@settings(max_examples=150)
@given(plain_lines, st.sampled_from([",", "\t"]), st.integers(3, 40), st.booleans())
def test_unquoted_rows_are_those_of_a_loop(lines: list[str], separator: str, chunk: int, crlf: bool) -> None:
    text = "\n".join([separator.join("xyz"), *lines])
    text = text.replace("\n", "\r\n") + "\r\n" if crlf else text
    assert parse(text, Dialect(separator), chunk) == naive(text, separator)
    assert parse(text, Dialect(separator, quoted=False), chunk) == naive(text, separator)


@settings(max_examples=100)
@given(plain_lines)
def test_a_quote_elsewhere_changes_no_row(lines: list[str]) -> None:
    rows, rejects = parse("\n".join(["x,y,z", *lines]) + "\n")
    quoted_rows, quoted_rejects = parse("\n".join(["x,y,z", *lines, '"1","2","3"']) + "\n")
    assert quoted_rows == [*rows, (len(lines) + 1, ("1", "2", "3"))]
    assert quoted_rejects == rejects


fields = st.text('ab",\n é', max_size=6)


@settings(max_examples=150)
@given(st.lists(st.lists(fields, min_size=3, max_size=3), max_size=10), st.booleans(), st.integers(3, 60))
def test_what_the_csv_module_writes_is_read_back(table: list[list[str]], every: bool, chunk: int) -> None:
    file = io.StringIO()
    writer = csv.writer(file, quoting=csv.QUOTE_ALL if every else csv.QUOTE_MINIMAL, lineterminator="\n")
    writer.writerows([["x", "y", "z"], *table])
    rows, rejects = parse(file.getvalue(), chunk=chunk)
    assert [fields for _, fields in rows] == [tuple(field or None for field in row) for row in table]
    assert rejects == []


@settings(max_examples=100)
@given(st.lists(st.text('a",\r ', max_size=8), max_size=12), st.integers(3, 30))
def test_odd_quotes_do_not_depend_on_the_cut(lines: list[str], chunk: int) -> None:
    text = "\n".join(["x,y", *lines])
    assert parse(text, chunk=chunk) == parse(text)


def test_faults_cost_one_line_each() -> None:
    rows, rejects = parse('x,y\n1,"a\n2,b\n3,"c"d\n4,"e""f"\n5,g,h\n6\n\n"7","i"\n8,5" pipe\n9,"j\nk"\n')
    assert rows == [
        (2, ("2", "b")), (4, ("4", 'e"f')), (8, ("7", "i")), (9, ("8", '5" pipe')), (10, ("9", "j\nk"))
    ]  # fmt: skip
    assert [(row, reason) for row, reason, _ in rejects] == [
        (1, "text after a closing quote"),
        (3, "text after a closing quote"),
        (5, "too many fields"),
        (6, "too few fields"),
    ]
    assert rejects[0][2] == '1,"a'


def test_an_open_quote_costs_its_line() -> None:
    rows, rejects = parse('x,y\n1,"a\n' + "".join(f"{number},b\n" for number in range(2, 500)))
    assert [number for number, _ in rows] == list(range(2, 500))
    assert rejects == [(1, "a quote is not closed", '1,"a')]


def test_double_colons_and_tables_without_a_header() -> None:
    rows, rejects = parse("1::a:b::c\n2::d\n", Dialect("::", quoted=False, columns=("x", "y", "z")))
    assert rows == [(1, ("1", "a:b", "c"))]
    assert rejects == [(2, "too few fields", "2::d")]


def test_only_the_chosen_columns_under_our_names(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "x,y,z\n1,2,3\n")
    (rows,) = csv_rows(path, CSV, lambda columns: {"last": "z", "first": "x", "again": "x"}, Rejects())
    assert rows.frame.to_dicts() == [{"last": "3", "first": "1", "again": "1"}]
    assert rows.text(0) == "1,2,3"


@pytest.mark.parametrize(("text", "message"), [
    ("", "a.csv: the file is empty"),
    ("x,y,x\n", "a.csv: the column 'x' occurs twice"),
    ('"x,y\n', "a.csv: the header line has misplaced quotes"),
])  # fmt: skip
def test_bad_headers_are_named(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        parse(text)


def test_a_long_field_is_rejected() -> None:
    rows, rejects = parse(f'x,y\n1,"{"a" * 200_000}"\n2,"b"\n')
    assert rows == [(2, ("2", "b"))]
    assert [(row, reason) for row, reason, _ in rejects] == [
        (1, "a field is longer than the csv module's limit")
    ]
    assert parse(f"x\ty\n1\t{'a' * 200_000}\n", TSV)[0] == [(1, ("1", "a" * 200_000))]
