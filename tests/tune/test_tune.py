"""Tuning on a tiny shop: budget, resume, processes, pruning, and that test is not read."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from optuna import TrialPruned
from processes import start
from tiny_runs import tiny_config
from torch_geometric.data import HeteroData

from anchorrec_graph.config import Config, load_config
from anchorrec_graph.data.base import INTERACTS
from anchorrec_graph.errors import ConfigError, DataError, RunError, TrainingError
from anchorrec_graph.evaluate.evaluator import Evaluator
from anchorrec_graph.models.lightgcn import LightGCN
from anchorrec_graph.train.fit import fit
from anchorrec_graph.train.trainer import Trainer
from anchorrec_graph.tune import search, study
from anchorrec_graph.tune.report import why_no_figure, write_report
from anchorrec_graph.tune.search import TuneResult, tune
from anchorrec_graph.tune.space import Space
from anchorrec_graph.tune.trial import ITSELF, run_trial

SPACE = """\
train.learning_rate: {log: [1e-6, 1e-1]}
model.backbone.num_layers: {int: [1, 3]}
model.loss: {choice: [bpr, {name: softmax, temperature: .3}]}
"""


class Tuned:
    """A short configuration, its data, and a storage for each call."""

    def __init__(self, folder: Path, *overrides: str) -> None:
        self.folder, self.config = folder, tiny_config(folder, *overrides)
        self.data = self.config.dataset.load()
        self.space_file = folder / "search.yaml"
        self.space_file.write_text(SPACE)
        self.lines: list[str] = []

    @property
    def space(self) -> Space:
        return Space.load(self.space_file)

    def __call__(self, trials: int, storage: str = "s.sqlite", data: HeteroData | None = None) -> TuneResult:
        shown = self.lines.append
        return tune(self.config, data or self.data, self.space, trials, self.folder / storage, shown)


@pytest.fixture
def tuned(tmp_path: Path) -> Tuned:
    return Tuned(tmp_path, "train.epochs=3")


def same(result: TuneResult) -> tuple[Any, ...]:
    return tuple(result._replace(trials=result.trials.drop("seconds").to_dicts()))  # type: ignore[arg-type]


class Poison:
    """Fails when it is used in any way."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"test pairs are read ({name})")

    def __getitem__(self, key: Any) -> Any:
        raise AssertionError("test pairs are read")


def test_test_pairs_are_never_read(tuned: Tuned) -> None:
    """Other ones change nothing, and ones that cannot be read do not matter."""
    expected, original = tuned(6), tuned.data[INTERACTS].test_edge_label_index
    user, item = original
    for storage, pairs in (("permuted", torch.stack([user, item.flip(0)])), ("poisoned", Poison())):
        data = tuned.config.dataset.load()
        data[INTERACTS].test_edge_label_index = pairs
        assert same(tuned(6, storage, data)) == same(expected)
        assert data[INTERACTS].test_edge_label_index is pairs
    assert tuned.data[INTERACTS].test_edge_label_index is original


def test_validation_pairs_are_read(tuned: Tuned) -> None:
    """The counterpart: the test above could fail."""
    expected, data = tuned(6), tuned.config.dataset.load()
    user, item = data[INTERACTS].val_edge_label_index
    data[INTERACTS].val_edge_label_index = torch.stack([user, item.flip(0)])
    assert same(tuned(6, "other", data)) != same(expected)


def test_data_without_validation_pairs_are_refused(tuned: Tuned) -> None:
    del tuned.data[INTERACTS].val_edge_label_index
    with pytest.raises(DataError, match="no validation interactions"):
        tuned(1)
    assert not (tuned.folder / "s.sqlite").exists()


def test_the_first_trial_is_the_configuration_itself(tuned: Tuned) -> None:
    result = tuned(1)
    assert result.best_config == tuned.config
    assert (result.best_trial, result.start_value) == (0, result.best_value)
    fitted = fit(tuned.config, tuned.data, tuned.folder / "run")
    assert result.best_value == fitted.validation["Recall@5"]


def test_it_may_lie_outside_of_the_space(tuned: Tuned, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, lambda _, config: [config.train.learning_rate])
    tuned.space_file.write_text("train.learning_rate: {log: [1e-7, 1e-6]}\nmodel.l2_weight: {log: [1e-5, 1]}")
    result = tuned(4)
    first = result.trials.row(0, named=True)
    assert (first["train.learning_rate"], first["model.l2_weight"]) == ("0.01", "0.0001")
    assert (result.best_config, result.best_trial) == (tuned.config, 0)


def test_the_best_configuration_reproduces_its_value(tmp_path: Path) -> None:
    """Through the file that is written, and with the value in the table of trials."""
    tuned = Tuned(tmp_path, "train.epochs=12", "train.learning_rate=1e-6")
    tuned.space_file.write_text(SPACE.replace("1e-6", "2e-2"))
    result = tuned(5)
    assert result.best_trial != 0
    assert result.best_value > result.start_value
    best = load_config(write_report(result, tmp_path / "s.sqlite").best)
    fitted = fit(best, tuned.data, tmp_path / "run")
    assert fitted.validation["Recall@5"] == result.best_value
    assert result.trials.filter(state="complete")["value"].max() == result.best_value


def test_an_interrupted_search_goes_on_to_the_same_end(tuned: Tuned) -> None:
    expected = tuned(7)
    for trials in (2, 5, 5, 7):
        result = tuned(trials, "again.sqlite")
        assert len(result.trials) == trials
    assert same(result) == same(expected)
    assert len(tuned.lines) == 14
    assert tuned.lines[6].startswith("lightgcn on planted, 7 of 7: trial 6 complete, Recall@5 0.")


def broken_off(monkeypatch: pytest.MonkeyPatch, call: int, stop: BaseException) -> None:
    """End the given training of an epoch."""
    real, calls = Trainer.epochs, iter(range(10**6))

    def epochs(trainer: Trainer) -> Iterator[dict[str, Any]]:
        if next(calls) == call:
            raise stop
        return real(trainer)

    monkeypatch.setattr(Trainer, "epochs", epochs)


class Killed(BaseException):
    """Stands for the end of the process: Optuna does not hear of it."""


@pytest.mark.parametrize("call", [0, 2])
@pytest.mark.parametrize("stop", [KeyboardInterrupt(), Killed()])
def test_a_trial_that_was_broken_off_does_not_count(
    tuned: Tuned, monkeypatch: pytest.MonkeyPatch, call: int, stop: BaseException
) -> None:
    """The configuration itself is tried again; a dead process is noticed by its silence."""
    with monkeypatch.context() as patch:
        broken_off(patch, call, stop)
        with pytest.raises(type(stop)):
            tuned(4)
    monkeypatch.setattr(study, "GRACE", 4)  # longer than a living trial may be silent on a busy machine
    result = tuned(4)
    waited = "waiting for trials of other processes; one that was killed is given up after 4 s"
    assert (waited in tuned.lines) == isinstance(stop, Killed)
    assert len(result.trials) == 4
    assert result.trials["trial"].to_list() == [n for n in range(5) if n != call]
    assert result.start_value is not None


def test_another_space_is_another_study(tuned: Tuned) -> None:
    names = {tuned(2).study}
    tuned.space_file.write_text(SPACE.replace("1e-6", "1e-5"))
    names.add((second := tuned(1)).study)
    assert len(second.trials) == 1
    tuned.config = tiny_config(tuned.folder, "train.epochs=2")
    names.add(tuned(1).study)
    tuned.data.manifest = tuned.data.manifest | {"hash": "0"}
    names.add(tuned(1).study)
    assert len(names) == 4
    assert all(name.startswith("lightgcn-planted-") for name in names)


def test_two_processes_share_the_trials(tuned: Tuned) -> None:
    """Both end only when all have ended, and see the same best."""
    common = [str(tuned.folder / "short.yaml"), "--trials", "12", "--storage", str(tuned.folder / "s.sqlite")]
    workers = [
        start(["tune", *common, "--out", str(tuned.folder / f"{n}.yaml")], tuned.folder / f"{n}.txt")
        for n in range(2)
    ]
    for worker in workers:
        worker.join()
    shown = [(tuned.folder / f"{n}.txt").read_text() for n in range(2)]
    assert [worker.exitcode for worker in workers] == [0, 0], shown
    with sqlite3.connect(tuned.folder / "s.sqlite") as database:
        states = database.execute("select state, number from trials order by number").fetchall()
    database.close()
    assert states == [("COMPLETE", number) for number in range(12)]
    lines = [line for text in shown for line in text.splitlines() if "waiting" not in line]
    assert len(lines) == 12
    assert sum("trial 0 complete" in line for line in lines) == 1
    assert all(shown)  # both did some
    assert (tuned.folder / "0.yaml").read_text() == (tuned.folder / "1.yaml").read_text()


def scripted(monkeypatch: pytest.MonkeyPatch, values: Callable[[int, Config], list[float]]) -> None:
    """The validation values of the n-th training of this process, one per epoch."""
    calls = iter(range(10**6))
    monkeypatch.setattr(
        "anchorrec_graph.tune.trial.validation_values",
        lambda config, *_: enumerate(values(next(calls), config), start=1),
    )


def test_bad_trials_are_cut_short(tuned: Tuned, monkeypatch: pytest.MonkeyPatch) -> None:
    """After ten epochs, once five trials are complete."""
    scripted(monkeypatch, lambda n, _: [0.3 if n == 0 or n > 5 else 0.5] * 14)
    trials = tuned(8).trials
    assert trials["epochs"].to_list() == [14] * 5 + [14, 10, 10]
    assert trials["state"].to_list() == ["complete"] * 6 + ["pruned"] * 2
    assert tuned.lines[6].endswith("trial 6 pruned, Recall@5 0.3000 within 10 epochs; best 0.5000 in trial 1")


class Hopeless:
    """A trial that Optuna wants to stop at once."""

    def __init__(self, **attributes: Any) -> None:
        self.user_attrs, self.reported = attributes, []

    def suggest_float(self, key: str, low: float, high: float, log: bool) -> float:
        return low

    def report(self, value: float, step: int) -> None:
        self.reported.append(step)

    def should_prune(self) -> bool:
        return True


def test_the_configuration_itself_is_never_cut_short(tuned: Tuned) -> None:
    space = Space.parse({"train.learning_rate": {"log": [1e-3, 1]}}, "s.yaml")
    evaluator = Evaluator(tuned.config.evaluate, tuned.data)
    itself, other = Hopeless(**{ITSELF: True}), Hopeless()
    run_trial(itself, tuned.config, space, tuned.data, evaluator)  # type: ignore[arg-type]
    with pytest.raises(TrialPruned):
        run_trial(other, tuned.config, space, tuned.data, evaluator)  # type: ignore[arg-type]
    assert (itself.reported, other.reported) == ([1, 2, 3], [1])


def test_a_loss_that_is_not_finite_is_noted(tuned: Tuned) -> None:
    tuned.space_file.write_text("train.learning_rate: {choice: [1e30, 1e29]}\n")
    result = tuned(3)
    assert result.trials["state"].to_list() == ["complete", "pruned", "pruned"]
    assert result.trials["reason"][1].startswith("epoch 1: loss term 'ranking' is nan")
    assert f"trial 1 pruned ({result.trials['reason'][1]}); best" in tuned.lines[1]
    assert result.best_config == tuned.config


def test_a_search_in_which_nothing_works(tmp_path: Path) -> None:
    tuned = Tuned(tmp_path, "train.learning_rate=1e30")
    tuned.space_file.write_text("train.learning_rate: {choice: [1e30, 1e29]}\n")
    with pytest.raises(TrainingError, match=r"no trial came to its end; the first: epoch .: loss term"):
        tuned(2)


def test_settings_that_contradict_each_other_are_noted(tmp_path: Path) -> None:
    tuned = Tuned(tmp_path, "model={name: anchorrec, embedding_dim: 8}", "train.epochs=1")
    tuned.space_file.write_text(
        "model.align.head: {choice: [none]}\nmodel.align.source: {choice: [feature]}\n"
    )
    trials = tuned(2).trials
    assert trials["state"].to_list() == ["complete", "pruned"]
    assert "align.head 'none' needs align.source 'view'" in trials["reason"][1]


def test_a_configuration_that_does_not_fit_the_data_is_an_error(tmp_path: Path) -> None:
    tuned = Tuned(tmp_path, "model={name: anchorrec, score_views: [audio]}")
    with pytest.raises(ConfigError, match="audio"):
        tuned(2)


def test_a_model_without_epochs(tmp_path: Path) -> None:
    tuned = Tuned(tmp_path, "model=popularity")
    tuned.space_file.write_text("train.batch_size: {choice: [64, 128]}\n")
    result = tuned(5)
    assert result.best_value == fit(tuned.config, tuned.data, tmp_path / "run").validation["Recall@5"]
    assert result.trials["epochs"].to_list() == [0] * 5


def test_importance_finds_what_matters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tuned = Tuned(tmp_path, "train.epochs=1")
    scripted(monkeypatch, lambda _, config: [config.train.learning_rate])
    result = tuned(16)
    assert next(iter(result.importance)) == "train.learning_rate"
    assert sum(result.importance.values()) == pytest.approx(1)
    assert set(result.importance) == set(tuned.space.dimensions)
    assert tuned(search.RANKED - 1, "few.sqlite").importance == {}
    scripted(monkeypatch, lambda *_: [0.5])
    assert tuned(search.RANKED, "equal.sqlite").importance == {}


def test_importance_where_the_start_lies_outside_of_the_space(
    tuned: Tuned, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one key: the others, and the other trials, count as ever."""
    scripted(monkeypatch, lambda _, config: [config.train.learning_rate])
    tuned.space_file.write_text("train.learning_rate: {log: [1e-7, 1e-1]}\nmodel.l2_weight: {log: [1e-2, 1]}")
    result = tuned(16)
    assert json.loads(result.trials["model.l2_weight"][0]) < 1e-2
    assert list(result.importance) == ["train.learning_rate", "model.l2_weight"]
    assert result.importance["train.learning_rate"] > 0.5
    assert why_no_figure(result) is None


def test_files_beside_the_storage(tuned: Tuned, monkeypatch: pytest.MonkeyPatch) -> None:
    result = tuned(search.RANKED)
    report = write_report(result, tuned.folder / "s.sqlite")
    endings = ("best.yaml", "trials.csv", "importance.svg")
    assert list(report) == [tuned.folder / f"{result.study}-{ending}" for ending in endings]
    first = report.best.read_text().splitlines()[0]
    assert first.startswith(
        f"# Validation Recall@5 {result.best_value:.4f}, test not read; best of 10 trials "
    )
    assert f"(trial {result.best_trial} of study {result.study}); 20" in first
    assert load_config(report.best) == result.best_config
    assert pl.read_csv(report.trials).columns == result.trials.columns
    assert "train.learning_rate" in report.importance.read_text()
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    report = write_report(result, tuned.folder / "s.sqlite", tuned.folder / "new" / "out.yaml")
    assert report.importance is None
    assert why_no_figure(result) == "matplotlib is missing: pip install 'anchorrec_graph[tune]'"
    assert load_config(report.best) == result.best_config


def test_why_there_is_no_figure(tuned: Tuned, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, lambda *_: [0.5])
    assert why_no_figure(tuned(9)) == "it needs 10 complete trials, and there are 9"
    result = tuned(10)
    assert why_no_figure(result) == "nearly all trials are equally good"
    assert write_report(result, tuned.folder / "s.sqlite").importance is None


def test_studies_of_one_storage_have_files_of_their_own(tuned: Tuned) -> None:
    report = write_report(tuned(1), tuned.folder / "s.sqlite")
    before = report.best.read_bytes(), report.trials.read_bytes()
    tuned.config = tiny_config(tuned.folder, "train.epochs=2")
    other = write_report(tuned(1), tuned.folder / "s.sqlite")
    assert other.best != report.best
    assert (report.best.read_bytes(), report.trials.read_bytes()) == before
    assert load_config(other.best).train.epochs == 2


def test_optuna_is_missing(tuned: Tuned, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ConfigError, match=r"pip install 'anchorrec_graph\[tune\]'"):
        tuned(1)


def test_a_file_that_is_no_storage(tuned: Tuned) -> None:
    (tuned.folder / "s.sqlite").write_text("years of work\n" * 100)
    with pytest.raises(RunError, match=r"s\.sqlite: no storage of this Optuna \(.*\); name another file"):
        tuned(1)
    assert (tuned.folder / "s.sqlite").read_text().startswith("years of work")


def test_another_error_ends_the_search(tuned: Tuned, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(LightGCN, "encode", lambda _: [].pop())
        with pytest.raises(IndexError):
            tuned(2)
    assert len(tuned(2).trials) == 2
