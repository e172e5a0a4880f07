"""How features that were made anew are compared with earlier ones."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest


@pytest.fixture(scope="module")
def script() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks/film_features.py"
    spec = importlib.util.spec_from_file_location("film_features", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_equal_rows_agree_and_a_turned_one_does_not(script: ModuleType) -> None:
    rows = script.unit(np.random.default_rng(0).standard_normal((40, 8)))
    same = script.agreement(rows, rows)
    assert (same["above"], same["overlap"], same["own_row_nearest"]) == (40, 1.0, 1.0)
    turned = rows.copy()
    turned[3] *= -1
    found = script.agreement(turned, rows)
    assert (found["above"], found["own_row_nearest"]) == (39, 39 / 40)
    assert found["least"] == pytest.approx(-1)
    assert found["overlap"] < 1


def test_forms_of_a_title(script: ModuleType) -> None:
    found = script.forms("Killer, The (Die xue shuang xiong) (1989)")
    assert {"The Killer (1989)", "Die xue shuang xiong (1990)", "Killer, The"} <= set(found)
    assert "The Empire Strikes Back (1980)" in script.forms(
        "Star Wars: Episode V - The Empire Strikes Back (1980)"
    )
    assert "Untitled" in script.forms("Untitled")
