"""Python's notation against ast.literal_eval."""

from __future__ import annotations

import ast
import json
import warnings
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anchorrec_graph.prepare.sources.json_rows import _parsed as parsed
from anchorrec_graph.prepare.sources.literal import literal_to_json

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(-1e9, 1e9) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=200)
@given(values)
def test_repr_is_read_back(value: Any) -> None:
    line = repr(value)
    assert json.loads(literal_to_json(line)) == ast.literal_eval(line)


@settings(max_examples=200)
@given(st.text("ab\\xu0178nt'\"{U", max_size=12), st.sampled_from("'\""))
def test_escapes_are_pythons(inside: str, quote: str) -> None:
    line = quote + inside + quote
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # escapes that Python does not know
            expected = ast.literal_eval(line)
    except (SyntaxError, ValueError):
        expected = None
    try:
        found = json.loads(literal_to_json(line))
    except ValueError:
        found = None
    if isinstance(expected, str) or found is not None:  # Python joins texts that stand side by side
        adjacent = expected is not None and found is None
        assert found == expected or (adjacent and inside.count(quote) >= 2)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("{'a': 'b', 'n': None, 't': [True, False]}", {"a": "b", "n": None, "t": [True, False]}),
        ("{'a': \"it's\"}", {"a": "it's"}),
        ("{u'a': u'caf\\xe9', 'b': 'x\\/y'}", {"a": "café", "b": "x\\/y"}),
        ("{'a': 1.50}", {"a": "1.50"}),
        ("{'True': 'None'}", {"True": "None"}),
        ("{'a': '\t'}", {"a": "\t"}),
    ],
)
def test_lines_of_2014(line: str, expected: Any) -> None:
    assert parsed(line) == expected


@pytest.mark.parametrize(
    "line",
    [
        "{'a': __import__('os')}",
        "{'a': 1+1}",
        "{'a': (1, 2)}",
        "{'a': b'x'}",
        "{'a': 'x' * 9}",
        "{'a': '\\x1'}",
        "{'a': '\\N{DASH}'}",
        "{'a': '\\U99999999'}",
        "{'a': 'b}",
        "{'a': [1,]}",
        "{'a'}",
        "{'a': Trueish}",
        "{'a': NaN}",
        "{'a': 1_0}",
        "{'a': 0x10}",
        "{'a': ...}",
        "{1: 2}",
    ],
)
def test_nothing_else_is_read(line: str) -> None:
    with pytest.raises(ValueError):
        parsed(line)
