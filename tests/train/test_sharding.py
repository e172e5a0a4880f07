"""Tables cut over processes: runs, checkpoints that any number of processes reads, damage, dead ranks."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from pydantic import ValidationError
from rank_work import train, train_until_step
from rank_world import Group, by_command, command, together
from safetensors import safe_open
from safetensors.torch import load_file
from test_ranks_run import SETTINGS, the_error, wait_until
from tiny_runs import differences, outcome, write_tiny
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict_saver import save

from anchorrec_graph.errors import RunError
from anchorrec_graph.nn.sharded_table import ShardedTable
from anchorrec_graph.train import sharded_checkpoint
from anchorrec_graph.train.ranks import ALONE, LostRank, Ranks
from anchorrec_graph.train.seed import SeedFolder
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


def of_all_ranks(checkpoint: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint, with whole tables: their rows lie in the files in order of rank."""
    parts: dict[str, list[Tensor]] = {}
    for file in sorted(checkpoint.glob("*.safetensors")):
        for name, part in load_file(file).items():
            parts.setdefault(name, []).append(part)
    return {name: torch.cat(found) if len(found) > 1 else found[0] for name, found in parts.items()}


def close(run: Path, expected: Path) -> None:
    """Two runs of different numbers of processes: the same but for rounding."""
    assert left(run).keys() == left(expected).keys()
    states = [of_all_ranks(last_checkpoint(path)) for path in (run, expected)]
    best, early = (
        [load_file(path / f"seed-0/{name}.safetensors") for path in (run, expected)]
        for name in ("best", "epochs/3")
    )
    for found, wanted in (states, best, early):
        assert found.keys() == wanted.keys()
        for name in [name for name in found if "random" not in name]:
            assert (found[name] - wanted[name]).abs().max() < 1e-4, name
    results = [json.loads((path / "seed-0/metrics.json").read_text())["test"] for path in (run, expected)]
    assert results[0] == pytest.approx(results[1], abs=1e-6)


def test_the_run_is_one_like_any_other(config: Path, whole: Path, tmp_path: Path) -> None:
    (alone,) = by_command(tmp_path, 1, "train", "-c", config, "--run-dir", tmp_path / "run")
    assert alone.code == 0, alone.err
    results = [
        json.loads((run / "seed-0/metrics.json").read_text())["test"] for run in (whole, tmp_path / "run")
    ]
    assert results[0] == pytest.approx(results[1], abs=1e-6)
    counts = [
        json.loads((run / "seed-0/metrics.json").read_text())["parameters"]
        for run in (whole, tmp_path / "run")
    ]
    assert counts[0] == counts[1]
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


@pytest.mark.parametrize("size", [2, 3])
def test_goes_on_within_an_epoch(whole: Path, tmp_path: Path, size: int) -> None:
    """Stopped in the third and last step of the first epoch, before anything was evaluated."""
    config = write_tiny(tmp_path, MODEL, *SETTINGS, *CUT, "train.checkpoint_steps=2")
    run = tmp_path / "run"
    ended = together(tmp_path, 2, train_until_step, config, run, 2)
    assert all(rank.code for rank in ended)
    assert last_checkpoint(run).name == "checkpoint-0-2"
    first, *_ = by_command(tmp_path, size, "train", "--resume", run)
    assert first.code == 0, first.err
    assert last_checkpoint(run).name == "checkpoint-5"
    expected = [load_file(path / "seed-0/best.safetensors") for path in (whole, run)]
    for name, wanted in expected[0].items():
        assert (expected[1][name] - wanted).abs().max() <= (0 if size == 2 else 1e-4), name


def test_a_copy_of_a_checkpoint_is_left_alone(tmp_path: Path) -> None:
    folder = SeedFolder(tmp_path, "title", "key")
    ours = ["checkpoint-5", "checkpoint-5-70", "checkpoint-5-100", "checkpoint-10", "checkpoint-10-2"]
    for name in (*reversed(ours), "checkpoint-10-copy", "checkpoint-old"):
        (tmp_path / name).mkdir()
    assert [path.name for path in folder.sharded_checkpoints()] == ours


@pytest.mark.parametrize(("before", "size"), [(2, 1), (2, 2), (2, 3), (2, 4), (1, 2)])
def test_goes_on_with_any_number_of_processes(
    config: Path, whole: Path, tmp_path: Path, before: int, size: int
) -> None:
    """40 items on 3 processes: 14, 14, 12. Two that go on have the bits of a run that was not interrupted."""
    run = tmp_path / "run"
    ended = together(tmp_path, before, train, config, run, False, 3)
    assert all(rank.code for rank in ended)
    assert not (run / "summary.json").exists()
    first, *_ = by_command(tmp_path, size, "train", "--resume", run)
    assert first.code == 0, first.err
    assert "continued after epoch" in first.err
    assert len(list(last_checkpoint(run).glob("*.safetensors"))) == size
    close(run, whole)
    if before == size:
        assert differences(left(run), left(whole)) == []


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


def command_that(how: str, *arguments: str) -> None:
    """The command; while a checkpoint is read rank 1 is killed, or all are told to end, as torchrun does."""

    def end(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM if how == "all are told to end" else signal.SIGKILL)
        time.sleep(60)  # the signal comes

    place: tuple[object, str] = sharded_checkpoint, "load"
    if how != "one is gone before":
        place = sharded_checkpoint.HuggingFaceStorageReader, "read_data"
    ends = how == "all are told to end" or os.environ["RANK"] == "1"
    with patch.object(*place, end) if ends else nullcontext():
        command(*arguments)


@pytest.mark.parametrize("how", ["one is gone before", "one is killed", "all are told to end"])
def test_a_rank_lost_while_a_checkpoint_is_read_is_not_its_damage(
    config: Path, tmp_path: Path, how: str
) -> None:
    run = tmp_path / "run"
    together(tmp_path, 2, train, config, run, False, 3)
    ended = Group(tmp_path, 2, command_that, how, "train", "--resume", str(run)).join()
    (line,) = [line for rank in ended for line in rank.err.splitlines() if line.startswith("error: ")]
    lost = "another process of this training ended or does not answer"
    if how == "all are told to end":
        lost = "this training was ended from outside, or another of its processes ended"
    assert line == f"error: {lost}; continue with --resume {run}"
    assert last_checkpoint(run).exists()


@pytest.mark.parametrize("error", [OSError("no disk"), RuntimeError("no disk"), AssertionError("no disk")])
def test_what_fails_to_be_read_is_its_damage(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """In torch's own code, which wraps it."""

    def fails(*_: object) -> None:
        raise error

    run = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(ALONE, config, run, stop_after=3)
    monkeypatch.setattr(sharded_checkpoint.HuggingFaceStorageReader, "read_data", fails)
    with pytest.raises(RunError, match=r"/checkpoint-2: cannot be read \(no disk\); delete it, and"):
        train(ALONE, config, run, resume=True)


def test_a_rank_lost_while_the_others_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(*_: object) -> None:
        raise RuntimeError("Connection closed by peer")

    monkeypatch.setattr(sharded_checkpoint, "init_device_mesh", closed)
    with pytest.raises(LostRank, match="another process of this training ended"):
        sharded_checkpoint._mesh(Ranks(0, 2))


class Disk:
    """What is put on the disk, renamed and deleted, in its order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.events: list[tuple[str, str, int]] = []  # what, of which file, its bytes then
        fsync, replace, rmtree = os.fsync, os.replace, shutil.rmtree

        def synced(descriptor: int) -> None:
            path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
            self.events.append(("fsync", self.name(path), os.fstat(descriptor).st_size))
            fsync(descriptor)

        def replaced(source: Path, target: Path) -> None:
            self.events.append(("replace", self.name(target), 0))
            replace(source, target)

        def deleted(path: Path, **options: Any) -> None:
            self.events.append(("delete", self.name(path), 0))
            rmtree(path, **options)

        monkeypatch.setattr(os, "fsync", synced)
        monkeypatch.setattr(os, "replace", replaced)
        monkeypatch.setattr(shutil, "rmtree", deleted)

    @staticmethod
    def name(path: Path) -> str:
        return f"{path.parent.name}/{path.name}"


def test_older_checkpoints_go_when_the_new_one_is_on_the_disk(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as context:
        disk = Disk(context)
        train(ALONE, config, tmp_path / "run")
    (file,) = last_checkpoint(tmp_path / "run").glob("*.safetensors")
    events = disk.events[: disk.events.index(("delete", "seed-0/checkpoint-4", 0))]
    (*written, folder, renamed, parent) = events
    assert ("fsync", f".checkpoint-5.tmp/{file.name}", file.stat().st_size) in written
    assert ("replace", ".checkpoint-5.tmp/progress.json", 0) in written
    assert folder[:2] == ("fsync", "seed-0/.checkpoint-5.tmp")
    assert renamed[:2] == ("replace", "seed-0/checkpoint-5")
    assert parent[:2] == ("fsync", "run/seed-0")


def test_a_small_file_is_on_the_disk_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that fits a buffer of Python."""
    with monkeypatch.context() as context:
        disk = Disk(context)
        writer = sharded_checkpoint._Writer(str(tmp_path), save_distributed=True)
        with sharded_checkpoint._with_all_ranks():
            save({"few": torch.ones(3)}, storage_writer=writer, no_dist=True)
    (file,) = tmp_path.iterdir()
    assert disk.events[-1] == ("fsync", Disk.name(file), file.stat().st_size)


def test_settings_of_mode_sampled_are_refused_in_full() -> None:
    with pytest.raises(ValidationError, match=r"train.shard_tables needs train.mode 'sampled'"):
        TrainConfig(shard_tables=True)
    with pytest.raises(ValidationError, match=r"train.checkpoint_steps needs train.mode 'sampled'"):
        TrainConfig(checkpoint_steps=1)


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
    for missing in ([3], [1, 9], [0]):
        with pytest.raises(RuntimeError, match="no graph of the batch reaches"):
            cut(torch.tensor(missing))
    assert cut(torch.empty(0, dtype=torch.long)).shape == (0, 3)
    cut.send_back()
    assert cut.weight.grad is not None
    assert cut.weight.grad.is_sparse
    torch.testing.assert_close(cut.weight.grad.to_dense(), table.weight.grad)
    assert torch.equal(cut.whole(), table.weight)
