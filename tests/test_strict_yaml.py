"""YAML 1.2 scalars, what is not plain values, and writing that reads back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from short_config import SHORT, load, refusal

from anchorrec_graph.strict_yaml import dump_yaml, parse_yaml


def test_scalars_follow_yaml_1_2(tmp_path: Path) -> None:
    config = load(tmp_path, SHORT + "train: {learning_rate: 1e-3, epochs: 010, tensorboard: true}\n")
    assert config.train.learning_rate == 0.001
    assert config.train.epochs == 10  # YAML 1.1 would read 8
    assert config.train.tensorboard is True
    values = parse_yaml(
        "[1e-3, .5, on, no, 12:30, 0x10, ~, null, '', 1_000, 08, -3, '1', 2001-01-01, <<]", "x"
    )
    expected = [
        0.001,
        0.5,
        "on",
        "no",
        "12:30",
        "0x10",
        None,
        None,
        "",
        "1_000",
        8,
        -3,
        "1",
        "2001-01-01",
        "<<",
    ]
    assert values == expected
    assert [type(v) for v in values] == [type(v) for v in expected]


def test_words_stay_strings_where_a_string_is_meant(tmp_path: Path) -> None:
    for word in ("on", "no", "y", "12:30"):
        dataset: Any = load(
            tmp_path, f"dataset: {{name: mmrec, folder: x, inter_file: {word}}}\nmodel: lightgcn\n"
        ).dataset
        assert dataset.inter_file == word


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\na: 2", "not valid YAML in line 2: key 'a' twice"),
        ("train: {epochs: 1, epochs: 2}", "not valid YAML in line 1: key 'epochs' twice"),
        ("a: [1", "not valid YAML in line 1: expected ',' or ']', but got '<stream end>'"),
        ("a: !!python/object:os.system x", "not valid YAML in line 1: could not determine a constructor"),
        ("a: !!int abc", "not valid YAML: invalid literal for int()"),
        ("a: !!float abc", "not valid YAML: could not convert string to float"),
        ("a: !!timestamp abc", "not valid YAML: "),
        ("a: " + "1" * 5000, "not valid YAML: Exceeds the limit"),
        ("? [a]\n: 1", "not valid YAML in line 1: found unhashable key"),
        ("a: \x00", "not valid YAML: unacceptable character"),
        ("a: " + "[" * 5000, "not valid YAML: nested too deeply"),
        ("- a", "expected keys dataset, model, train, evaluate"),
        ("", "expected keys dataset, model, train, evaluate"),
        ("words", "expected keys dataset, model, train, evaluate"),
    ],
)
def test_what_is_not_a_mapping_of_plain_values_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    assert refusal(tmp_path, text).startswith(expected)


leaves = (
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False)
)
words = st.sampled_from(["1e-3", "010", "on", "no", "12:30", "<<", "~", "", "1_0", "0x10", ".5", "=", "null"])
values = st.recursive(
    leaves | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | words, inner, max_size=3),
    max_leaves=8,
)


@given(values)
def test_every_value_survives_yaml(value: Any) -> None:
    assert repr(parse_yaml(dump_yaml(value), "x")) == repr(value)
