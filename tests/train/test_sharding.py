"""Tables cut over processes: runs, checkpoints that any number of processes reads, damage, dead ranks."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from rank_work import train
from rank_world import Group, by_command, command, together
from safetensors import safe_open
from test_ranks_run import SETTINGS, the_error, wait_until
from tiny_runs import differences, outcome, write_tiny
from torch import Tensor, nn

from anchorrec_graph.nn.sharded_table import ShardedTable
from anchorrec_graph.train.settings import TrainConfig

MODEL = "model={name: anchorrec, embedding_dim: 8, loss: {name: softmax, num_negatives: 8}}"
CUT = "train.mode=sampled", "train.num_neighbors=[4, 2]", "train.shard_tables=true"


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("config"), MODEL, *SETTINGS, *CUT)


@pytest.fixture(scope="module")
def whole(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run of 2 processes."""
    folder = tmp_path_factory.mktemp("whole")
    ended = by_command(folder, 2, "train", "-c", config, "--run-dir", folder / "run")
    assert [rank.code for rank in ended] == [0, 0], ended
    return folder / "run"


def left(run: Path) -> dict[str, Any]:
    """`outcome` without the checkpoint, whose cut depends on the number of processes."""
    return {name: value for name, value in outcome(run).items() if "checkpoint-" not in name}


def last_checkpoint(run: Path) -> Path:
    (path,) = run.glob("seed-0/checkpoint-*")
    return path


def test_the_run_is_one_like_any_other(config: Path, whole: Path, tmp_path: Path) -> None:
    (alone,) = by_command(tmp_path, 1, "train", "-c", config, "--run-dir", tmp_path / "run")
    assert alone.code == 0, alone.err
    results = [
        json.loads((run / "seed-0/metrics.json").read_text())["test"] for run in (whole, tmp_path / "run")
    ]
    assert results[0] == pytest.approx(results[1], abs=1e-6)
    (evaluated,) = by_command(tmp_path, 1, "evaluate", whole)
    assert evaluated.code == 0, evaluated.err


def test_a_checkpoint_is_cut_into_safetensors_of_the_processes(whole: Path) -> None:
    path = last_checkpoint(whole)
    assert path.name == "checkpoint-5"
    assert sorted(file.suffix for file in path.iterdir()) == [".json", ".safetensors", ".safetensors"]
    held = []
    for file in sorted(path.glob("*.safetensors")):
        with safe_open(file, framework="pt") as opened:
            names = set(opened.keys())
            held.append(opened.get_tensor("model/user.weight").shape[0])
            assert {"model/item.weight", "optimizer/0/exp_avg", "optimizer/1/exp_avg_sq"} <= names
    assert held == [30, 30]  # of 60 users


@pytest.mark.parametrize("size", [1, 2, 3])
def test_goes_on_with_any_number_of_processes(config: Path, whole: Path, tmp_path: Path, size: int) -> None:
    """40 items on 3 processes: 14, 14, 12. With two, the bits of a run that was not interrupted."""
    run = tmp_path / "run"
    ended = together(tmp_path, 2, train, config, run, False, 3)
    assert all(rank.code for rank in ended)
    assert not (run / "summary.json").exists()
    first, *_ = by_command(tmp_path, size, "train", "--resume", run)
    assert first.code == 0, first.err
    assert "continued after epoch" in first.err
    if size == 2:
        assert differences(left(run), left(whole)) == []
        return
    for name in ("best.safetensors", "epochs/3.safetensors"):
        ours, theirs = outcome(run), outcome(whole)
        assert ours.keys() >= {f"seed-0/{name}"} <= theirs.keys()
    results = [json.loads((r / "seed-0/metrics.json").read_text())["test"] for r in (run, whole)]
    assert results[0] == pytest.approx(results[1], abs=1e-6)


@pytest.mark.parametrize("harm", ["progress.json", "shard", "none", "key"])
def test_a_damaged_checkpoint_is_told_once(config: Path, tmp_path: Path, harm: str) -> None:
    run = tmp_path / "run"
    together(tmp_path, 2, train, config, run, False, 3)
    path = last_checkpoint(run)
    shard = sorted(path.glob("*.safetensors"))[1]
    if harm == "progress.json":
        (path / harm).write_text("{")
    elif harm == "shard":
        shard.write_bytes(shard.read_bytes()[:200])
    elif harm == "none":
        shard.unlink()
    else:
        facts = json.loads((path / "progress.json").read_text())
        (path / "progress.json").write_text(json.dumps({**facts, "key": "other"}))
    message = the_error(by_command(tmp_path, 2, "train", "--resume", run))
    assert f"{path.name}: " in message
    assert ("belongs to other settings" if harm == "key" else "cannot be read") in message


def test_what_a_killed_writer_left_is_cleared_away(config: Path, whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    together(tmp_path, 2, train, config, run, False, 3)
    half = last_checkpoint(run).with_name(".checkpoint-4.tmp")
    shutil.copytree(last_checkpoint(run), half)
    first, *_ = by_command(tmp_path, 2, "train", "--resume", run)
    assert first.code == 0, first.err
    assert not half.exists()
    assert differences(left(run), left(whole)) == []


def test_a_dead_rank_ends_the_job_with_one_line(tmp_path: Path) -> None:
    lasting = "train.epochs=10000", "train.patience=10000", "train.checkpoint_every=1"
    path, run = write_tiny(tmp_path, MODEL, *SETTINGS, *CUT, *lasting), tmp_path / "run"
    group = Group(tmp_path, 2, command, "train", "-c", str(path), "--run-dir", str(run))
    wait_until(lambda: bool(list(run.glob("seed-0/checkpoint-*"))))
    assert group.processes[1].pid
    os.kill(group.processes[1].pid, signal.SIGKILL)
    first, second = group.join()
    assert second.code == -9
    (line,) = [line for line in first.err.splitlines() if line.startswith("error: ")]
    assert line == (
        f"error: another process of this training ended or does not answer; continue with --resume {run}"
    )
    assert "Traceback" not in first.err


def test_whole_tables_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"train.shard_tables needs train.mode 'sampled'"):
        TrainConfig(shard_tables=True)


class Alone:
    """One process that trades with itself."""

    rank, size = 0, 1

    def trade(self, rows: Tensor, sent: list[int], received: list[int]) -> Tensor:
        assert [len(rows)] == sent == received
        return rows.clone()

    def all_rows(self, own: Tensor, counts: list[int]) -> Tensor:
        assert counts == [len(own)]
        return own


def test_rows_and_gradients_are_those_of_a_table() -> None:
    torch.manual_seed(0)
    table = nn.Embedding(9, 3)
    cut = ShardedTable(table, Alone())
    cut.fetch(torch.tensor([1, 4, 5, 8]))
    batches, weight = (torch.tensor([4, 1, 4]), torch.tensor([8])), torch.randn(4, 3)
    for rows, part in zip(batches, weight.split([3, 1]), strict=True):
        assert torch.equal(cut(rows), table(rows))
        for each in (cut, table):
            (each(rows) * part).sum().backward()
    cut.send_back()
    assert cut.weight.grad is not None
    assert cut.weight.grad.is_sparse
    torch.testing.assert_close(cut.weight.grad.to_dense(), table.weight.grad)
    assert torch.equal(cut.whole(), table.weight)
