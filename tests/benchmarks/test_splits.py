"""`python benchmarks/splits.py`: every model on every split, once."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest
from tiny_runs import tiny_config

from anchorrec_graph.errors import ConfigError

SCRIPTS = Path(__file__).parents[2] / "benchmarks"


def test_publishes_and_trains_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    monkeypatch.chdir(tmp_path)
    metrics = "evaluate.metrics=[Recall@20, NDCG@20]", "train.metric=Recall@20"
    for name in ("ease", "popularity", "anchorrec"):
        (tmp_path / "configs" / name).mkdir(parents=True)
        text = tiny_config(tmp_path, f"model={{name: {name}}}", *metrics).to_yaml()
        (tmp_path / f"configs/{name}/tiny.yaml").write_text(text, encoding="utf-8")
    script = importlib.import_module("splits")
    command = [
        "splits.py",
        "tiny",
        "--models",
        "ease,popularity",
        "--splits",
        "3,1",
        "--jobs",
        "1",
        "--publish",
    ]
    monkeypatch.setattr("sys.argv", command)
    script.main()
    found = json.loads((tmp_path / "benchmarks/results/splits-tiny.json").read_text())
    values = found["test"]["popularity"]["NDCG@20"]
    assert len(set(values["seeds"])) == 2  # two splits, of other test pairs
    assert values["holm"].keys() == {"t", "wilcoxon"}
    text = (tmp_path / "benchmarks/results/splits-tiny.md").read_text(encoding="utf-8")
    assert text.startswith("# tiny: random splits 3, 1\n")
    assert capsys.readouterr().out.strip() == text.strip()
    runs = {path: path.stat().st_mtime_ns for path in tmp_path.glob(".cache/splits/tiny/runs/*/summary.json")}
    assert len(runs) == 4
    script.main()
    assert {path: path.stat().st_mtime_ns for path in runs} == runs


def test_a_split_that_the_data_bring_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    script = importlib.import_module("splits")
    script.check_different({1: "a", 2: "b"})
    with pytest.raises(ConfigError, match="splits 1 and 3 are the same pairs"):
        script.check_different({1: "a", 2: "b", 3: "a"})
