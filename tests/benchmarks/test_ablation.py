from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import ModuleType

import pytest

from anchorrec_graph.config import Config, load_config
from anchorrec_graph.errors import ConfigError, TrainingError
from anchorrec_graph.models.base import build_model
from anchorrec_graph.testing import tiny_data
from anchorrec_graph.train.history import read_history

ROOT = Path(__file__).parents[2]


@pytest.fixture
def ablation(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("ablation")


def test_every_variant_is_a_model_of_its_own(ablation: ModuleType) -> None:
    """All build on two modalities, names and settings are distinct but for the rows that say the default."""
    rows = ablation.variants(("image", "text"))
    configs = [ablation.settings("planted", row, 0, None) for row in rows]
    assert len({row.key for row in rows}) == len(rows)
    assert len({config.hash for config in configs}) >= len(rows) - 2  # one temperature is the default's
    for config in configs:
        build_model(config.model.model_copy(update={"embedding_dim": 4}), tiny_data())


def test_a_variant_differs_from_its_base_in_the_model_alone(ablation: ModuleType) -> None:
    default = ablation.settings("planted", ablation.Variant("", ""), 0, None)
    for row in ablation.variants(("image", "text")):
        config = ablation.settings("planted", row, 0, None)
        assert config.dataset == default.dataset
        if not row.base:
            assert config.train == default.train


def test_rows_change_one_setting_but_where_their_texts_say_more(ablation: ModuleType) -> None:
    for row in ablation.variants(("image", "text")):
        if row.group == "loss":
            assert len(row.overrides) == 2
            assert row.overrides[1] == "model.history.weight=0"
        elif row.group == "without":
            assert (len(row.overrides) > 1) == (" and " in row.name)
        else:
            assert len(row.overrides) == (row.name not in ("as configured", "as released"))


def test_every_row_of_the_release_changes_it(ablation: ModuleType) -> None:
    """None takes away a loss term that the released settings of a data set do not have."""
    names = [path.stem.removesuffix("-released") for path in ROOT.glob("configs/anchorrec/*-released.yaml")]
    rows = [row for row in ablation.variants(("image", "text")) if row.group == "released"]
    assert names
    for name in names:
        assert len({ablation.settings(name, row, 0, None).hash for row in rows}) == len(rows)


def test_measures_validation_without_test_pairs(
    ablation: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    original = ablation.without_test
    monkeypatch.setattr(ablation, "without_test", lambda data: seen.append(original(data)) or seen[-1])
    result = ablation.measure(small())
    (data,) = seen
    assert "test_edge_label_index" not in data["user", "interacts", "item"]
    assert 0 < result["Recall@20"] <= 1
    assert result["epochs"] == 2
    assert {"overlap image", "overlap text"} <= set(result)


def small(*overrides: str) -> Config:
    tiny = "dataset={name: planted, num_users: 60, num_items: 40}"
    return load_config(
        "configs/anchorrec/planted.yaml", [tiny, "train.epochs=2", "train.seeds=[0]", *overrides]
    )


def test_a_failure_names_its_row_and_finished_variants_are_not_trained_again(
    ablation: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rows = [
        ablation.Variant("default", "x"),
        ablation.Variant("view", "y", ("model.score_views=[nothing]",)),
    ]
    monkeypatch.setattr(ablation, "CACHE", tmp_path)
    monkeypatch.setattr(ablation, "variants", lambda modalities: rows)
    monkeypatch.setattr(ablation, "settings", lambda dataset, row, seed, data: small(*row.overrides))
    with pytest.raises(
        TrainingError, match=r"^view: y \(seed 0\): model.score_views: .* 'nothing'[^;]*;[^;]*$"
    ):
        ablation.run("planted", [0], 1, None)
    (line,) = (tmp_path / "planted.jsonl").read_text().splitlines()
    entry = json.loads(line)
    assert entry["key"].split("|")[2] == ablation.code_hash()
    monkeypatch.setattr(ablation, "measure", None)
    assert ablation.run("planted", [0], 1, None, ["default"]) == {"default: x": [entry["result"]]}
    assert (tmp_path / "planted.jsonl").read_text() == line + "\n"


def test_a_line_that_was_cut_short_costs_its_result_only(ablation: ModuleType, tmp_path: Path) -> None:
    cache = tmp_path / "c.jsonl"
    cache.write_text('{"key": "a", "result": {}}\n{"key": "b", "resu')
    (training,) = [ablation.Training("x", "c", small())]
    found = ablation.train([training], 1, cache)
    assert [entry["key"] for entry in read_history(cache)] == ["a", "c"]
    assert read_history(cache)[1]["result"] == found["c"]


KILLED = """
import os, sys
from pathlib import Path

def measure(number):
    os.kill(os.getpid(), 9)

if __name__ == "__main__":
    import ablation

    ablation.measure = measure
    trainings = [ablation.Training(f"x {number}", str(number), number) for number in range(9)]
    ablation.train(trainings, 1, Path("c"))
"""


def test_a_killed_training_is_told_once(ablation: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "killed.py").write_text(KILLED)
    path = os.pathsep.join([str(ROOT / "benchmarks"), *sys.path])
    ended = subprocess.run(
        [sys.executable, "killed.py"], cwd=tmp_path, env={**os.environ, "PYTHONPATH": path},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.stderr.count("the process of a training was killed") == 1
    assert "x 8" not in ended.stderr


def test_results_are_those_of_the_code_as_it_is(
    ablation: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An edit or another name of a Python file counts; a text and a copy elsewhere do not."""

    def hashed(folder: str, **files: str) -> str:
        (tmp_path / folder / "train").mkdir(parents=True)
        for name, text in {"__init__": "", **files}.items():
            (tmp_path / folder / "train" / f"{name}.py").write_text(text)
        (tmp_path / folder / "README.md").write_text(folder)
        monkeypatch.setattr(ablation.anchorrec_graph, "__file__", str(tmp_path / folder / "__init__.py"))
        found: str = ablation.code_hash()
        return found

    first = hashed("first", trainer="x = 1")
    assert hashed("copy", trainer="x = 1") == first
    assert len({first, hashed("edited", trainer="x = 2"), hashed("renamed", other="x = 1")}) == 3


SLOW = """
import signal, sys, time
from pathlib import Path

def measure(number):
    if number > 0:
        time.sleep(600)
    return {"ignores": signal.getsignal(signal.SIGINT) == signal.SIG_IGN}

if __name__ == "__main__":
    import ablation  # here: the worker, who imports this file, begins sooner without

    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
    ablation.measure = measure
    trainings = [ablation.Training(f"x (seed {number})", str(number), number) for number in range(5)]
    ablation.train(trainings, 1, Path(sys.argv[1]))
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals to a group")
def test_ctrl_c_ends_all_at_once_and_keeps_what_is_finished(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    cache = tmp_path / "planted.jsonl"
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "slow.py"), str(cache)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "benchmarks")},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # as in a terminal: a group of its own, all of which Ctrl-C reaches
    )
    try:
        assert process.stderr is not None
        assert process.stderr.readline() == "[1/5] x (seed 0): {'ignores': True}\n"
        os.killpg(process.pid, signal.SIGINT)
        _, told = process.communicate(timeout=30)  # to the end of the last process that could write there
        assert told.count("Traceback") == 1
        assert told.endswith("KeyboardInterrupt\n")
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert read_history(cache) == [{"key": "0", "result": {"ignores": True}}]


def test_publishes_only_when_told_to_and_says_which_groups(
    ablation: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    values = {"Recall@20": 0.5, "epochs": 3, "seconds": 1.0}
    monkeypatch.setattr(ablation, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(ablation, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(ablation, "run", lambda dataset, seeds, *rest: {"view: x": [values] * len(seeds)})
    monkeypatch.setattr("sys.argv", ["ablation.py", "tiny", "--groups", "view,loss", "--seeds", "3,1"])
    ablation.main()
    assert not (tmp_path / "results").exists()
    text = (tmp_path / "cache/tiny.md").read_text(encoding="utf-8")
    assert capsys.readouterr().out == text + "\n"
    assert "\n| view: x | 0.5000 ± 0.0000 | 3 |\n" in text
    assert text.endswith("\nValidation, seeds 3, 1, mean ± sd; rows of the groups view, loss alone.\n")
    monkeypatch.setattr("sys.argv", ["ablation.py", "tiny", "--publish"])
    ablation.main()
    published = (tmp_path / "results/ablation-tiny.md").read_text(encoding="utf-8")
    assert published.endswith("\nValidation, seeds 0, 1, 2, mean ± sd.\n")
    report = json.loads((tmp_path / "results/ablation-tiny.json").read_text())
    assert report["results"] == {"view: x": [values] * 3}
    assert (tmp_path / "cache/tiny.md").read_text(encoding="utf-8") == text
    for less, message in (("--seeds=0,1", "3 seeds"), ("--groups=loss", "the groups view")):
        monkeypatch.setattr("sys.argv", ["ablation.py", "tiny", "--publish", less])
        with pytest.raises(SystemExit, match=f"tiny.json has {message}, which this table would lack"):
            ablation.main()
    assert (tmp_path / "results/ablation-tiny.md").read_text(encoding="utf-8") == published


def test_no_jobs_are_refused(
    ablation: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["ablation.py", "tiny", "--jobs", "0"])
    with pytest.raises(SystemExit):
        ablation.main()
    assert capsys.readouterr().err.endswith("argument --jobs: must be 1 or more\n")


def test_groups_that_no_row_has_are_refused(ablation: ModuleType) -> None:
    with pytest.raises(ConfigError, match=r"--groups: .*'nothing'"):
        ablation.run("planted", [0], 1, None, ["view", "nothing"])
