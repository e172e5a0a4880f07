"""--ray of the commands, and that a cluster of this machine leaves nothing behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from tiny_runs import write_tiny

from anchorrec_graph.cli.app import app
from anchorrec_graph.cluster.connection import Cluster
from anchorrec_graph.errors import ConfigError

LOCAL = """
from pathlib import Path
import ray_tasks
from anchorrec_graph.cluster.connection import connected
from anchorrec_graph.cluster.tasks import completed
with connected("local", at_once=2) as cluster:
    print([outcome.value for outcome in completed(cluster, ray_tasks.temporary, [()])])
"""


def anchorrec(*arguments: object) -> None:
    app(args=[str(argument) for argument in arguments], prog_name="anchorrec", standalone_mode=False)


def run_for_json(capsys: pytest.CaptureFixture[str], *arguments: object) -> Any:
    anchorrec(*arguments, "--json", "--quiet")
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "search.yaml").write_text("train.batch_size: {choice: [64, 128]}\n")
    return write_tiny(tmp_path, "model=popularity")


def test_compare(cluster: Cluster, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    table = run_for_json(capsys, "compare", config, "--seeds", "0", "--out", out, "--ray", "local")
    assert list(table["rows"][0]["seeds"]) == ["0"]
    assert len(list(out.glob("runs/popularity-*/seed-0/metrics.json"))) == 1


def test_tune(cluster: Cluster, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    storage = tmp_path / "s.sqlite"
    found = run_for_json(
        capsys, "tune", config, "--trials", 3, "--storage", storage, "--ray", "local", "--jobs", 1
    )
    assert found["trials"] == {"complete": 3}


def test_features(
    cluster: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    pl.DataFrame({"item_id": ["a", "b"], "title": ["one", "three"]}).write_parquet(tmp_path / "items.parquet")
    counts = {"users": 1, "items": 2, "interactions": 1}
    (tmp_path / "manifest.json").write_text(json.dumps({"format": 1, "counts": counts, "files": {}}))
    words = ["features", tmp_path, "--modality", "text", "--encoder", "text_function"]
    found = run_for_json(
        capsys, *words, "-o", "function=ray_tasks:lengths", "--ray", "local", "--batch-size", 1
    )
    assert found["encoded"] == 2
    assert np.load(tmp_path / "features/text.npy").tolist() == [[3], [5]]


def test_usage(config: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--jobs: only with --ray"):
        anchorrec("tune", config, "--jobs", 2)
    with pytest.raises(ConfigError, match="--ray: only with --encoder"):
        anchorrec("features", tmp_path, "--modality", "x", "--fuse", "a,b", "--ray", "local")


def test_a_cluster_of_this_machine_leaves_no_process_and_no_folder(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'anchorrec_graph[ray]'")
    place = Path("/tmp") if Path("/tmp").is_dir() else Path(tempfile.gettempdir())
    mark = f"of-{tmp_path.name}-{os.getpid()}"
    modules = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    environment = os.environ | {"RAY_TEST_MARK": mark, "PYTHONPATH": modules, "HOME": str(tmp_path)}
    command = [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", LOCAL]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    (folder,) = json.loads(done.stdout.replace("'", '"'))
    assert Path(folder).parent == place
    assert not Path(folder).exists()
    assert list(tmp_path.iterdir()) == []
    assert processes_with(mark) == []


def processes_with(mark: str) -> list[str]:
    """Command lines of processes that inherited the mark."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text())
        except OSError:  # ended, or not ours
            continue
    return found
