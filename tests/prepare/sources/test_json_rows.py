"""JSON lines against a loop over json.loads."""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reading import write

from anchorrec_graph.errors import DataError
from anchorrec_graph.prepare.rejects import Rejects
from anchorrec_graph.prepare.sources import json_rows as module
from anchorrec_graph.prepare.sources.json_rows import json_records, json_rows
from anchorrec_graph.prepare.sources.rows import Fields

FIELDS = Fields({"user_id": ("u",), "item_id": ("i", "j")})
Result = tuple[list[tuple[int, Any, Any]], list[tuple[int, str]]]


def parse(text: str, loose: bool = False, small: int = 1 << 18, fields: Fields = FIELDS) -> Result:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "SMALL", small)
        path, rejects = write(Path(folder) / "a.jsonl", text), Rejects()
        rows = [
            (int(block.number[position]), *values)
            for block in json_rows(path, fields, rejects, loose)
            for position, values in enumerate(block.frame.iter_rows())
            if block.text(position)
        ]
    return rows, sorted((reject.row, reject.reason) for reject in rejects.samples)


def naive(text: str) -> Result:
    """Line by line. Numbers are kept as text by marking them before they are parsed."""
    rows, rejects = [], []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line, parse_int=lambda t: ("n", t), parse_float=lambda t: ("n", t))
            if any(constant in line for constant in ("NaN", "Infinity")):
                raise ValueError
        except ValueError:
            rejects.append((number, "not JSON"))
            continue
        if not isinstance(value, dict):
            rejects.append((number, "not an object"))
            continue
        user, item = value.get("u"), value["i"] if value.get("i") is not None else value.get("j")
        reason = fault("user_id", user) or fault("item_id", item)
        if reason:
            rejects.append((number, reason))
        else:
            rows.append((number, *(v[1] if isinstance(v, tuple) else v for v in (user, item))))
    return rows, rejects


def fault(name: str, value: Any) -> str:
    if value is None or isinstance(value, tuple):
        return ""
    if not isinstance(value, str):
        return f"{name} is neither text nor a number"
    halves = any(0xD800 <= ord(letter) <= 0xDFFF for letter in value)
    return f"{name} holds half a surrogate pair" if halves else ""


texts = st.text("ab \0é\U0001f600\ud800\udc00\n\"'\\", max_size=5)
values = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | texts
    | st.just([1])
    | st.just({})
)
objects = st.dictionaries(st.sampled_from(["u", "i", "j", "k"]), values)
broken = st.sampled_from(
    ["", " ", "{", '{"u": 1', "[1]", "1", '{"u": NaN}', '{"u": 01}', "\ufeff{}", '{"u": 1} x']
)
WHOLE = '{"u": "a", "i": 7, "j": null}'


@settings(max_examples=150)
@given(st.lists(objects.map(json.dumps) | broken, max_size=12), st.integers(40, 200))
def test_rows_are_those_of_a_loop(lines: list[str], small: int) -> None:
    text = "\n".join([WHOLE, *lines])
    rows, rejects = parse(text, small=small)
    expected_rows, expected_rejects = naive(text)
    assert rows == expected_rows
    assert rejects == expected_rejects


def test_numbers_keep_their_text() -> None:
    big = "9" * 5000
    rows, _ = parse(
        f'{{"u": 1.0, "i": 007}}\n{{"u": 1.0, "i": 1e5}}\n{{"u": -0, "i": {big}}}\n{{"u": "007", "i": 7}}'
    )
    assert rows == [(2, "1.0", "1e5"), (3, "-0", big), (4, "007", "7")]


@pytest.mark.parametrize("loose", [False, True])
def test_depth_is_survived(loose: bool) -> None:
    deep = '{"k": ' + "[" * 100_000 + "]" * 100_000 + "}"
    rows, rejects = parse(f"{deep}\n{WHOLE}", loose)
    assert rows == [(2, "a", "7")]
    assert rejects == [(1, "nested too deeply")]


def test_what_is_absent_is_named() -> None:
    with pytest.raises(DataError, match=r"a.jsonl: no column 'u'; it has: v, i; is this the right source"):
        parse('{"v": 1, "i": 2}\n' * 3)
    with pytest.raises(DataError, match=r"no column 'i' or 'j'; it has: u"):
        parse('{"u": 1}\n')
    with pytest.raises(DataError, match=r"none of its first lines is a JSON object"):
        parse("u,i\n1,2\n")


def test_only_ids_must_be_in_the_first_block() -> None:
    fields = Fields({**FIELDS.names, "rating": ("r",)})
    late = f"{WHOLE}\n" * 50
    with pytest.raises(DataError, match=r"no column 'r'; it has: u, i, j"):
        parse(late, small=60, fields=fields)
    rows, _ = parse(late + '{"u": "b", "r": 4.50}\n', small=60, fields=fields)
    assert rows[-1] == (51, "b", None, "4.50")
    optional = fields._replace(optional=("rating",))
    assert len(parse(late, small=60, fields=optional)[0]) == 50


def test_records_keep_all_keys(tmp_path: Path) -> None:
    path, rejects = write(tmp_path / "a", f'{WHOLE}\n{{"u": 1, "i": 2, "x": [1.50]}}\n'), Rejects()
    (records,) = json_records(path, FIELDS, rejects)
    assert list(records.values) == [{"u": "a", "i": "7", "j": None}, {"u": "1", "i": "2", "x": ["1.50"]}]
    assert records.text(1).startswith('{"u": 1')
    assert math.isclose(float(records.values[1]["x"][0]), 1.5)
