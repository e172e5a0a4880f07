"""The record of a training."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pytest
from tiny_runs import tiny_config

from anchorrec_graph.errors import ConfigError, RunError
from anchorrec_graph.train.fit import fit
from anchorrec_graph.train.history import History, read_history


def record(epoch: int, **more: Any) -> dict[str, Any]:
    return {"epoch": epoch, "terms": {"ranking": 1 / epoch}, "validation": {"Recall@5": 0.1}, **more}


def written(path: Path, *epochs: int) -> Path:
    with History(path, 0, tensorboard=False) as history:
        for epoch in epochs:
            history.write(record(epoch))
    return path


def test_a_missing_history_is_empty(tmp_path: Path) -> None:
    assert read_history(tmp_path / "none.jsonl") == []


def test_records_come_back(tmp_path: Path) -> None:
    assert read_history(written(tmp_path / "h.jsonl", 1, 2)) == [record(1), record(2)]


def test_a_record_can_be_read_at_once(tmp_path: Path) -> None:
    with History(tmp_path / "h.jsonl", 0, tensorboard=False) as history:
        history.write(record(1))
        assert read_history(tmp_path / "h.jsonl") == [record(1)]


@pytest.mark.parametrize("cut", [1, 2, 30, 60])
def test_a_last_line_cut_short_is_left_out(tmp_path: Path, cut: int) -> None:
    path = written(tmp_path / "h.jsonl", 1, 2, 3)
    path.write_bytes(path.read_bytes()[:-cut])
    assert read_history(path)[:2] == [record(1), record(2)]
    assert len(read_history(path)) == (3 if cut == 1 else 2)  # the first byte cut is the end of the line


def test_a_tail_of_zeros_is_left_out(tmp_path: Path) -> None:
    """What a power failure may leave of a block that was not written."""
    path = written(tmp_path / "h.jsonl", 1)
    path.write_bytes(path.read_bytes() + bytes(100))
    assert read_history(path) == [record(1)]


def test_damage_before_the_last_line_is_an_error(tmp_path: Path) -> None:
    path = written(tmp_path / "h.jsonl", 1, 2, 3)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[1][:20], lines[2]]))
    with pytest.raises(RunError, match=r"h\.jsonl: line 2 is damaged"):
        read_history(path)


def test_records_after_the_checkpoint_are_written_anew(tmp_path: Path) -> None:
    path = written(tmp_path / "h.jsonl", 1, 2, 3)
    path.write_bytes(path.read_bytes()[:-9])
    with History(path, 1, tensorboard=False) as history:
        history.write(record(2, again=True))
    assert read_history(path) == [record(1), record(2, again=True)]


def test_tensorboard_events(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    config = tiny_config(tmp_path, "train.tensorboard=true", "train.evaluate_every=2")
    run = fit(config, config.dataset.load(), tmp_path / "run").folder / "seed-0"
    events = accumulator.EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    kept = read_history(run / "history.jsonl")
    found = [(event.step, event.value) for event in events.Scalars("loss/ranking")]
    assert found == [(entry["epoch"], pytest.approx(entry["terms"]["ranking"])) for entry in kept]
    assert [event.step for event in events.Scalars("validation/Recall@5")] == [2, 4, 6]


def test_no_events_unless_asked_for(tmp_path: Path) -> None:
    config = tiny_config(tmp_path)
    assert not (fit(config, config.dataset.load(), tmp_path / "run").folder / "seed-0/tensorboard").exists()


def test_tensorboard_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: Any) -> Any:
        if name.startswith("torch.utils.tensorboard"):
            raise ImportError(name)
        return real(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match=r"train\.tensorboard needs TensorBoard: pip install"):
        History(tmp_path / "h.jsonl", 0, tensorboard=True)
