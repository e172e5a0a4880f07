"""Trials of processes that were killed, at any moment, do not count; those of living ones do."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from optuna import Study, Trial
from optuna.trial import TrialState
from tiny_runs import tiny_config

from anchorrec_graph.tune import alive
from anchorrec_graph.tune.search import tune
from anchorrec_graph.tune.space import Space
from anchorrec_graph.tune.study import fill, left_to_begin, lock_file, opened


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Study]:
    with opened(tmp_path / "s.sqlite", "s") as found:
        yield found


@pytest.fixture(autouse=True)
def _threads_are_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Optuna's own signs of life come when the tests are over."""
    monkeypatch.setattr("optuna.storages._heartbeat.HeartbeatThread._record_heartbeat", lambda *_: None)


def asked(study: Study) -> Trial:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Heartbeat of storage")
        return study.ask()


def states(study: Study) -> list[str]:
    return [trial.state.name for trial in study.get_trials()]


def test_a_trial_that_never_gave_a_sign_of_life_is_given_up_at_once(study: Study) -> None:
    for _ in range(2):
        asked(study)
    alive.give_sign_of_life(study, asked(study))
    assert left_to_begin(study, 4) == 3
    assert states(study) == ["FAIL", "FAIL", "RUNNING"]


def test_a_trial_of_another_study_is_left_alone(study: Study, tmp_path: Path) -> None:
    with opened(tmp_path / "s.sqlite", "other") as other:
        asked(other)
        assert left_to_begin(study, 1) == 1
        assert states(other) == ["RUNNING"]


def test_without_locks_a_trial_may_be_about_to_give_its_first_sign(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = asked(study)
    monkeypatch.setattr(alive.time, "sleep", lambda _: alive.give_sign_of_life(study, trial))
    assert left_to_begin(study, 1) == 0
    assert states(study) == ["RUNNING"]


def test_a_trial_counts_as_running_from_its_beginning(study: Study, tmp_path: Path) -> None:
    left = []

    def objective(trial: Trial) -> float:
        left.append(left_to_begin(study, 3))
        return 0.0

    fill(study, tmp_path / "s.sqlite", 3, {}, objective, lambda *_: None, lambda _: None)
    assert left == [2, 1, 0]
    assert states(study) == ["COMPLETE"] * 3


@pytest.mark.parametrize("reports", [True, False])
def test_a_trial_that_was_given_up_while_its_process_slept_is_dropped(
    study: Study, tmp_path: Path, reports: bool
) -> None:
    """It counts as failed, and the process that wakes goes on with others."""

    def objective(trial: Trial) -> float:
        if trial.number == 0:
            study.tell(0, state=TrialState.FAIL)  # as another process does
        if reports:
            trial.report(1.0, 1)
        return 1.0

    fill(study, tmp_path / "s.sqlite", 2, {}, objective, lambda *_: None, lambda _: None)
    assert states(study) == ["FAIL", "COMPLETE", "COMPLETE"]


def test_an_error_of_a_trial_is_not_swallowed(study: Study, tmp_path: Path) -> None:
    def objective(trial: Trial) -> float:
        raise ValueError(trial.number)

    with pytest.raises(ValueError, match="0"):
        fill(study, tmp_path / "s.sqlite", 2, {}, objective, lambda *_: None, lambda _: None)
    assert states(study) == ["FAIL"]


def test_a_path_is_no_address(tmp_path: Path) -> None:
    """Signs that mean something in an URL stand for themselves, and a link is the file that it leads to."""
    folder = tmp_path / "a?b%20#c"
    with opened(folder / "s.sqlite", "s"):
        assert (folder / "s.sqlite").is_file()
        (tmp_path / "link.sqlite").symlink_to(folder / "s.sqlite")
        assert lock_file(tmp_path / "link.sqlite") == lock_file(folder / "s.sqlite")
    assert {path.name for path in tmp_path.iterdir()} == {folder.name, "link.sqlite"}


def stopping(call: int) -> Callable[[Study], Trial]:
    """`Study.ask`, which is interrupted right after the given call."""
    real, calls = Study.ask, iter(range(10**6))

    def ask(study: Study) -> Trial:
        trial = real(study)
        if next(calls) == call:
            raise KeyboardInterrupt
        return trial

    return ask


@pytest.mark.parametrize("call", [0, 2])
def test_a_search_that_was_stopped_before_a_first_sign_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    """Also where it was the trial of the configuration itself."""
    config, lines = tiny_config(tmp_path, "model=popularity"), list[str]()
    data, space = config.dataset.load(), Space.parse({"train.batch_size": {"choice": [64, 128]}}, "space")
    with monkeypatch.context() as patch:
        patch.setattr(Study, "ask", stopping(call))
        with pytest.raises(KeyboardInterrupt):
            tune(config, data, space, 3, tmp_path / "s.sqlite")
    result = tune(config, data, space, 3, tmp_path / "s.sqlite", lines.append)
    assert result.trials["trial"].to_list() == [n for n in range(4) if n != call]
    assert result.start_value is not None
    assert len(lines) == 3 - call  # none says that it waits
