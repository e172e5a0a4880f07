from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from command import Command
from PIL import Image
from processes import start

MODULE = """
import os, time
from pathlib import Path
import numpy as np

HERE = Path(__file__).parent

def slow(batch):
    with open(HERE / "calls.txt", "a") as log:
        log.write("".join(f"{text}\\n" for text in batch))
    while any(text == "stop" for text in batch) and not (HERE / "go").exists():
        time.sleep(0.01)
    return np.array([[len(text), text.count("a")] for text in batch], dtype=np.float32)

def red(batch):
    return np.array([[path.stat().st_size] for path in batch], dtype=np.float32)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A prepared folder of five items, the working directory, with a module of functions."""
    items = pl.DataFrame(
        {
            "item_id": ["a", "b", "c", "d", "e"],
            "title": ["aaaaaa", "bananas", "stop", "aa", "aaaaaaaaaa"],
            "tags": [["x", "y"], [], None, ["z"], ["q"]],
            "image": ["a.png", "https://x.org/b.png", "c.png", None, "e.png"],
        }
    )
    items.write_parquet(tmp_path / "items.parquet")
    counts = {"users": 1, "items": 5, "interactions": 1}
    (tmp_path / "manifest.json").write_text(json.dumps({"format": 1, "counts": counts, "files": {}}))
    (tmp_path / "own_rows.py").write_text(MODULE)
    (tmp_path / "go").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "own_rows", raising=False)
    return tmp_path


TEXT = ["features", ".", "--modality", "text", "--encoder", "text_function", "-o", "function=own_rows:slow"]
TEXT += ["--columns", "title", "--batch-size", "2"]


def rows(folder: Path, modality: str = "text") -> list[list[float]]:
    return np.load(folder / "features" / f"{modality}.npy").tolist()  # type: ignore[no-any-return]


def test_texts_a_repetition_and_a_change(anchorrec: Command, folder: Path) -> None:
    first = anchorrec(*TEXT, "--json").json()
    assert (first["encoded"], first["reused"], first["dtype"]) == (5, 0, "float16")
    assert rows(folder) == [[6, 6], [7, 3], [4, 0], [2, 2], [10, 10]]
    again = anchorrec(*TEXT, "--json").json()
    assert (again["encoded"], again["reused"], again["hash"]) == (0, 5, first["hash"])
    done = anchorrec(*TEXT, "--out-dtype", "float32")
    assert "features/text.npy" in done.out
    assert "float32" in done.out
    both = anchorrec(*TEXT, "--columns", "title,tags", "--json").json()
    assert both["recipe"]["columns"] == ["title", "tags"]
    assert rows(folder)[0] == [10, 6]


def test_a_killed_call_goes_on_without_encoding_anything_again(anchorrec: Command, folder: Path) -> None:
    (folder / "go").unlink()
    process = start(TEXT, folder / "errors.txt")
    calls = folder / "calls.txt"
    deadline = time.monotonic() + 60
    while not (calls.exists() and "stop" in calls.read_text()):
        assert process.is_alive(), (folder / "errors.txt").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.join()
    before = calls.read_text().split()
    assert before == ["aaaaaaaaaa", "bananas", "aaaaaa", "stop"]  # the second batch was never finished
    assert not (folder / "features" / "text.npy").exists()
    calls.unlink()
    (folder / "go").touch()
    found = anchorrec(*TEXT, "--json").json()
    assert calls.read_text().split() == ["aaaaaa", "stop", "aa"]
    assert (found["encoded"], found["reused"]) == (3, 2)
    assert rows(folder) == [[6, 6], [7, 3], [4, 0], [2, 2], [10, 10]]
    assert [path.name for path in (folder / "features").glob(".*")] == []


def test_files_by_a_column_and_a_policy(anchorrec: Command, folder: Path) -> None:
    (folder / "in").mkdir()
    for name in "ac":
        Image.new("RGB", (3, 3)).save(folder / "in" / f"{name}.png")
    options = [
        "features",
        ".",
        "--modality",
        "sizes",
        "--encoder",
        "file_function",
        "-o",
        "function=own_rows:red",
    ]
    options += ["--columns", "image", "--files", "in"]
    done = anchorrec(*options, "--missing", "zero")
    size = (folder / "in" / "a.png").stat().st_size
    assert rows(folder, "sizes") == [[size], [0], [size], [0], [0]]
    assert "3 missing rows, filled by zero (URL, not fetched: 1, no path: 1, no file: 1)" in done.err
    assert "2 items" not in done.err
    assert "1 items have the input of an earlier one, such as a, c" in done.err
    assert anchorrec(*options, "--missing", "zero", "--quiet").err == ""
    assert "item 'b' (row 2): URL, not fetched" in anchorrec(*options, "--missing", "refuse").error(3)


def test_a_ready_matrix_and_a_fused_one(anchorrec: Command, folder: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("u", "v"):
        np.save(f"{name}.npy", rng.standard_normal((5, 3)))
        (folder / "ids.txt").write_text("e\nd\nc\nb\na\n")
        found = anchorrec(
            "features", ".", "--modality", name, "--from", f"{name}.npy", "--ids", "ids.txt", "--json"
        )
        assert found.json()["rows"] == 5
    np.testing.assert_allclose(rows(folder, "u"), np.load("u.npy")[::-1], atol=1e-3)
    options = ["features", ".", "--modality", "fused", "--fuse", "u,v", "--dim", "2", "--json"]
    for recipe in ("whiten", "cca", "mean"):
        found = anchorrec(*options, "--recipe", recipe).json()
        assert found["recipe"]["name"] == recipe
        assert np.shape(rows(folder, "fused")) == (5, 3 if recipe == "mean" else 2)


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ([], 2, "give one of --encoder NAME, --from FILE and --fuse A,B"),
        (["--encoder", "minilm", "--fuse", "a,b"], 2, "give one of --encoder"),
        (["--encoder", "minilmm"], 2, "unknown encoder 'minilmm'; did you mean 'minilm'?"),
        (["--encoder", "minilm", "-o", "devise=cpu"], 2, "did you mean 'device'?"),
        (["--encoder", "minilm", "-o", "device"], 2, "expected key=value"),
        (["--encoder", "sentence_transformers"], 2, "model: is missing; set it with -o KEY=VALUE"),
        (["--encoder", "minilm", "--images", "."], 2, "--images: only with an encoder of files"),
        (["--encoder", "efficientnet_lite0"], 2, "give --images DIR"),
        (["--encoder", "efficientnet_lite0", "--images", ".", "--columns", "a,b"], 2, "takes one column"),
        (["--fuse", "a,b", "--columns", "title"], 2, "--columns: only with --encoder"),
        (["--encoder", "minilm", "--ids", "f"], 2, "--ids: only with --from"),
        (["--from", "x.npy"], 2, "give --ids too"),
        (["--from", "x.npy", "--ids", "ids.txt"], 3, "x.npy: no such file"),
        (["--fuse", "a,b"], 3, "a.npy: no such file"),
        (["--encoder", "text_function", "-o", "function=own_rows:no"], 2, "write package.module:function"),
        (["--encoder", "onnx", "-o", "file=no.onnx", "--images", "."], 2, "no.onnx: cannot be read"),
    ],
)
def test_mistakes(anchorrec: Command, folder: Path, options: list[str], code: int, message: str) -> None:
    (folder / "b.png").touch()
    assert message in anchorrec("features", ".", "--modality", "text", *options).error(code)


def test_no_prepared_folder(anchorrec: Command, tmp_path: Path) -> None:
    error = anchorrec("features", tmp_path, "--modality", "text", "--encoder", "minilm").error(3)
    assert "make the folder with anchorrec prepare" in error
