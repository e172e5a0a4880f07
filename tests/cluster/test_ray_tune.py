"""Trials on a cluster: as many as asked for, the same as here, and without test pairs."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import ray_tasks
from tiny_runs import tiny_config

from anchorrec_graph.cluster.connection import Cluster
from anchorrec_graph.errors import AnchorRecError, ConfigError
from anchorrec_graph.tune import cluster as on_cluster
from anchorrec_graph.tune.search import TuneResult, tune
from anchorrec_graph.tune.space import Space

FAST = {"train.learning_rate": {"choice": [2e-3]}}  # equal ones: none is below the median
RATE = {"train.learning_rate": {"log": [1e-5, 1e-2]}}


class Tuned:
    """A short configuration, and a storage for each call."""

    def __init__(self, folder: Path, cluster: Cluster | None, *overrides: str) -> None:
        self.folder, self.cluster = folder, cluster
        self.config = tiny_config(folder, "train.epochs=3", *overrides)
        self.data = self.config.dataset.load()
        self.lines: list[str] = []

    def __call__(
        self, trials: int, storage: str = "s.sqlite", space: dict[str, Any] = RATE, **options: Any
    ) -> TuneResult:
        options = {"show": self.lines.append, "cluster": self.cluster} | options
        parsed = Space.parse(space, "space")
        return tune(self.config, self.data, parsed, trials, self.folder / storage, **options)

    def states(self) -> Counter[str]:
        with sqlite3.connect(self.folder / "s.sqlite") as database:
            found = Counter(state for (state,) in database.execute("select state from trials"))
        database.close()
        return found


@pytest.fixture
def tuned(tmp_path: Path, cluster: Cluster) -> Tuned:
    return Tuned(tmp_path, cluster)


def same(result: TuneResult) -> tuple[Any, ...]:
    return tuple(result._replace(trials=result.trials.drop("seconds").to_dicts()))  # type: ignore[arg-type]


def test_one_at_once_is_the_search_of_this_process(tuned: Tuned, cluster: Cluster) -> None:
    space = RATE | {"model.loss": {"choice": ["bpr", {"name": "softmax", "temperature": 0.3}]}}
    expected = tuned(7, "here.sqlite", space, cluster=None)
    lines, tuned.lines[:] = list(tuned.lines), []
    found = tuned(7, "there.sqlite", space, cluster=cluster._replace(at_once=1))
    assert same(found) == same(expected)
    assert tuned.lines == lines


def test_two_at_once_make_as_many_trials_as_asked_for(tuned: Tuned) -> None:
    for trials in (3, 3, 8):
        result = tuned(trials)
        assert len(result.trials) == trials
        assert result.best_value == result.trials.filter(state="complete")["value"].max()
    assert tuned.states() == {"COMPLETE": 8}
    assert len(tuned.lines) == 8
    assert result.start_value is not None


def test_test_pairs_are_not_sent(tuned: Tuned, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_cluster, "values", ray_tasks.rate)  # fails if there are any
    result = tuned(6)
    assert result.best_value == max(float(rate) for rate in result.trials["train.learning_rate"])
    assert result.trials["epochs"].to_list() == [2] * 6


def slow_trials(monkeypatch: pytest.MonkeyPatch, slow: Callable[[int], bool]) -> None:
    """Give trials of some numbers a learning rate of 1e-4, whatever they draw."""
    real = on_cluster.draw

    def draw(trial: Any, config: Any, space: Space) -> Any:
        settings = real(trial, config, space)
        train = settings.train.model_copy(update={"learning_rate": 1e-4})
        return settings.model_copy(update={"train": train}) if slow(trial.number) else settings

    monkeypatch.setattr(on_cluster, "draw", draw)


def test_bad_trials_are_cut_short(tuned: Tuned, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bad ones would go on for ever."""
    monkeypatch.setattr(on_cluster, "values", ray_tasks.worse_and_worse)
    slow_trials(monkeypatch, lambda number: number > 5)
    result = tuned(8, space=FAST)
    assert result.trials["state"].to_list() == ["complete"] * 6 + ["pruned"] * 2
    assert all(10 <= epochs < 60 for epochs in result.trials["epochs"].to_list()[6:])


def test_a_loss_that_is_not_finite_is_noted(tuned: Tuned) -> None:
    result = tuned(3, space={"train.learning_rate": {"choice": [1e30, 1e29]}})
    assert result.trials["state"].to_list() == ["complete", "pruned", "pruned"]
    assert result.trials["reason"][1].startswith("epoch 1: loss term 'ranking' is nan")


def test_settings_that_contradict_each_other_are_noted(tmp_path: Path, cluster: Cluster) -> None:
    tuned = Tuned(tmp_path, cluster, "model={name: anchorrec, embedding_dim: 8}", "train.epochs=1")
    space = {"model.align.head": {"choice": ["none"]}, "model.align.source": {"choice": ["feature"]}}
    trials = tuned(2, space=space).trials
    assert trials["state"].to_list() == ["complete", "pruned"]
    assert "align.head 'none' needs align.source 'view'" in trials["reason"][1]


def test_a_configuration_that_does_not_fit_the_data_is_an_error(tmp_path: Path, cluster: Cluster) -> None:
    tuned = Tuned(tmp_path, cluster, "model={name: anchorrec, score_views: [audio]}")
    with pytest.raises(ConfigError, match="audio"):
        tuned(2)
    assert set(tuned.states()) == {"FAIL"}


def test_trials_of_lost_processes_do_not_count(tuned: Tuned, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_cluster, "values", ray_tasks.rate_or_die)
    slow_trials(monkeypatch, lambda number: number == 2)
    result = tuned(4, space=FAST)
    assert result.trials["trial"].to_list() == [0, 1, 3, 4]
    assert tuned.states() == {"COMPLETE": 4, "FAIL": 1}


def test_a_search_in_which_every_process_is_lost_ends(tuned: Tuned, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_cluster, "values", ray_tasks.rate_or_die)
    monkeypatch.setattr(on_cluster, "LOST", 1)
    with pytest.raises(AnchorRecError, match="the process was killed, perhaps for want of memory"):
        tuned(5, space={"train.learning_rate": {"log": [1e-6, 1e-5]}})
    assert set(tuned.states()) <= {"FAIL", "COMPLETE"}
    assert tuned.states()["FAIL"] >= 2


def test_another_error_ends_the_search(tuned: Tuned, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(on_cluster, "values", ray_tasks.broken)
        with pytest.raises(KeyError, match="a bug"):
            tuned(2)
    assert set(tuned.states()) == {"FAIL"}
    assert len(tuned(2).trials) == 2


def test_an_interrupted_search_leaves_no_trial_running(tuned: Tuned) -> None:
    def interrupt(line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        tuned(6, show=interrupt)
    assert caught.value.__notes__ == ["the same command goes on with the study"]
    assert tuned.states()["COMPLETE"] == 1
    assert set(tuned.states()) <= {"COMPLETE", "FAIL"}
    assert len(tuned(3).trials) == 3


def test_running_trials_give_signs_of_life(tuned: Tuned) -> None:
    """So that those of a process that is killed are given up."""
    seen = []

    def look(line: str) -> None:
        with sqlite3.connect(tuned.folder / "s.sqlite") as database:
            running = "select trial_id from trials where state = 'RUNNING'"
            silent = f"{running} and trial_id not in (select trial_id from trial_heartbeats)"
            seen.append([len(database.execute(query).fetchall()) for query in (running, silent)])
        database.close()

    tuned(4, show=look)
    assert all(silent == 0 for _, silent in seen)
    assert any(running for running, _ in seen)
