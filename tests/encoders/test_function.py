from __future__ import annotations

from pathlib import Path

import pytest

from anchorrec_graph.encoders.function import FileFunction, TextFunction
from anchorrec_graph.errors import ConfigError, DataError

MODULE = """
import numpy as np

def lengths(batch):
    return np.array([[len(text)] for text in batch], dtype=np.float32)

def sizes(batch):
    return np.array([[path.stat().st_size] for path in batch], dtype=np.float32)
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "own_features.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, "own_features", raising=False)
    return tmp_path / "own_features.py"


def test_a_function_of_texts_and_one_of_files(module: Path) -> None:
    texts = TextFunction(function="own_features:lengths")
    texts.load()
    assert texts.encode(["a", "abc"]).tolist() == [[1], [3]]
    sounds = FileFunction(function="own_features:sizes", max_bytes=1000)
    sounds.load()
    assert sounds.encode([sounds.read(module)]).tolist() == [[len(MODULE)]]
    with pytest.raises(DataError, match="more than max_bytes=10"):
        FileFunction(function="own_features:sizes", max_bytes=10).check(module)


def test_the_identity_changes_with_the_code(module: Path) -> None:
    encoder = TextFunction(function="own_features:lengths")
    encoder.load()
    before = encoder.identity()
    module.write_text(MODULE + "\n# changed\n")
    assert encoder.identity() != before


@pytest.mark.parametrize(
    "name", ["own_features:no", "own_features", "no_such:f", ":f", "own_features:np.x", "math:pi"]
)
def test_what_is_no_function(module: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"write package\.module:function"):
        TextFunction(function=name).load()


def test_a_built_in_function_is_known_by_its_name() -> None:
    encoder = TextFunction(function="math:fsum")
    encoder.load()
    assert encoder.identity() == "fsum"
