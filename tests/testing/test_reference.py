from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from anchorrec_graph.errors import DataError
from anchorrec_graph.testing import reference
from anchorrec_graph.testing.__main__ import main
from anchorrec_graph.testing.reference import (
    GRADIENT_TOLERANCE,
    LOSS_TOLERANCE,
    SCORE_TOLERANCE,
    check_file,
)

FOLDER = Path(__file__).parents[1] / "data" / "reference"
FILES = {path.stem: path for path in sorted(FOLDER.glob("*.npz"))}


def changed(folder: Path, name: str, key: str, change: float) -> Path:
    """A copy in which one array is off by `change` of its Euclidean norm, or NaN."""
    arrays = dict(np.load(FILES[name]))
    values = arrays[key].astype(np.float64)
    direction = np.ones_like(values) / np.sqrt(values.size)
    arrays[key] = (values + change * (np.linalg.norm(values) + 1e-3) * direction).astype(arrays[key].dtype)
    np.savez(folder / "changed.npz", **arrays)
    return folder / "changed.npz"


def run(monkeypatch: pytest.MonkeyPatch, *files: Path) -> int:
    monkeypatch.setattr(sys, "argv", ["testing", "reference", *map(str, files)])
    return main()


def test_every_golden_file_of_a_model_is_here() -> None:
    assert set(FILES) == set(reference.REFERENCES)


@pytest.mark.parametrize("name", FILES)
def test_within_tolerance(name: str) -> None:
    report = check_file(FILES[name])
    assert report.passed
    assert report.model == name
    assert report.loss_relative_error <= LOSS_TOLERANCE
    assert report.gradient_relative_error <= GRADIENT_TOLERANCE
    assert report.score_absolute_error <= SCORE_TOLERANCE


def test_python_m_prints_one_object_per_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["testing", "reference", *map(str, FILES.values())])
    monkeypatch.delitem(sys.modules, "anchorrec_graph.testing.__main__")
    with pytest.raises(SystemExit) as exit_:
        runpy.run_module("anchorrec_graph.testing", run_name="__main__")
    assert exit_.value.code == 0
    reports = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [report["model"] for report in reports] == list(FILES)
    assert all(report["passed"] for report in reports)


ANCHORREC_KEYS = [
    "gradient/W_id_i.0.weight",
    "gradient/D_mm2id.2.bias",
    "gradient/v_embedding.weight",
    "gradient/gate_t.0.bias",
    "gradient/user_embedding.weight",
    "parameter/W_t.0.weight",
]


@pytest.mark.parametrize("change", [2e-4, np.nan], ids=["off", "nan"])
@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("lightgcn", "loss"),
        ("lightgcn", "scores"),
        ("lightgcn", "gradient/embedding_dict.item_emb"),
        ("anchorrec", "loss"),
        ("anchorrec", "scores"),
        *[("anchorrec", key) for key in ANCHORREC_KEYS[:-1]],
    ],
)
def test_a_perturbed_number_exits_1(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    key: str,
    change: float,
) -> None:
    if key == "scores":  # its tolerance is absolute
        change *= 500
    path = changed(tmp_path, name, key, change)
    assert run(monkeypatch, FILES[name], path) == 1
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert first["passed"]
    assert not second["passed"]
    if key.startswith("gradient/"):
        assert second["worst_gradient"] == key.removeprefix("gradient/")
    assert (second["gradient_relative_error"] is None) == (np.isnan(change) and key.startswith("gradient"))


@pytest.mark.parametrize("setting", [{"tau_weight": 0.0}, {"knn_k": "many"}, {"n_layers": -1}])
def test_settings_out_of_range_exit_3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: dict[str, object]
) -> None:
    arrays = dict(np.load(FILES["anchorrec"]))
    arrays["config"] = np.array(json.dumps(json.loads(str(arrays["config"])) | setting))
    np.savez(tmp_path / "changed.npz", **arrays)
    assert run(monkeypatch, tmp_path / "changed.npz") == 3


def test_the_other_files_are_checked_after_an_unreadable_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, tmp_path / "missing.npz", FILES["lightgcn"]) == 3
    assert json.loads(capsys.readouterr().out)["passed"]


def test_a_perturbed_parameter_exits_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, changed(tmp_path, "anchorrec", "parameter/W_t.0.weight", 0.05)) == 1


def test_what_is_no_golden_file_exits_3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    content = FILES["lightgcn"].read_bytes()
    arrays = dict(np.load(FILES["lightgcn"]))
    (tmp_path / "text.npz").write_text("no arrays")
    (tmp_path / "empty.npz").write_bytes(b"")
    (tmp_path / "half.npz").write_bytes(content[: len(content) // 2])
    (tmp_path / "flipped.npz").write_bytes(content[:600] + b"\xff" * 64 + content[664:])
    np.save(tmp_path / "array.npy", np.zeros(3))
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    np.savez(tmp_path / "lacks.npz", **{key: value for key, value in arrays.items() if key != "scores"})
    np.savez(tmp_path / "objects.npz", a=np.array([{}], dtype=object))
    files = [*sorted(tmp_path.iterdir()), tmp_path / "missing.npz"]
    assert len(files) == 9
    for path in files:
        assert run(monkeypatch, path) == 3
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith(f"error: {path}: ")
        assert len(captured.err.splitlines()) == 1
    with pytest.raises(DataError, match="lacks scores"):
        check_file(tmp_path / "lacks.npz")
