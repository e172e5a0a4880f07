"""The training loop."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_runs import differences, outcome, tiny_config
from torch import Tensor

from anchorrec_graph.config import Config
from anchorrec_graph.errors import TrainingError
from anchorrec_graph.evaluate.evaluator import Evaluator, RankingResult
from anchorrec_graph.models.lightgcn import LightGCN
from anchorrec_graph.train.checkpoint import read_tensors
from anchorrec_graph.train.fit import fit, load_run
from anchorrec_graph.train.history import read_history
from anchorrec_graph.train.progress import Display
from anchorrec_graph.train.trainer import deterministic
from anchorrec_graph.typing import Batch


def history(run: Path, seed: int = 0) -> list[dict[str, Any]]:
    return read_history(run / f"seed-{seed}/history.jsonl")


def train(folder: Path, *overrides: str) -> list[dict[str, Any]]:
    config = tiny_config(folder, *overrides)
    return history(fit(config, config.dataset.load(), folder / "run").folder)


@pytest.mark.parametrize("model", ["lightgcn", "anchorrec"])
def test_loss_falls(tmp_path: Path, model: str) -> None:
    records = train(tmp_path, f"model={{name: {model}, embedding_dim: 8}}", "train.epochs=15")
    losses = [record["loss"] for record in records]
    assert losses[-1] < losses[4] < losses[0]
    assert all(record["loss"] == pytest.approx(sum(record["terms"].values())) for record in records)


@pytest.mark.parametrize("model", ["lightgcn", "anchorrec"])
def test_same_seed_same_bits(tmp_path: Path, model: str) -> None:
    config = tiny_config(tmp_path, f"model={{name: {model}, embedding_dim: 8}}")
    data = config.dataset.load()
    runs = [fit(config, data, tmp_path / name).folder for name in ("a", "b")]
    assert differences(outcome(runs[0]), outcome(runs[1])) == []


def test_threads_add_gradients_of_repeated_rows_in_a_fixed_order() -> None:
    """Without `deterministic`, torch adds them in any order if there are more than 32,768 numbers."""
    rows = torch.randint(50, (2048,), generator=torch.Generator().manual_seed(0))
    upstream = torch.randn(2048, 64, generator=torch.Generator().manual_seed(1))
    table, before = torch.zeros(50, 64, requires_grad=True), torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with deterministic():
            gradients = [torch.autograd.grad((table[rows] * upstream).sum(), table)[0] for _ in range(5)]
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(gradient, gradients[0]) for gradient in gradients)


def test_another_seed_differs(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, "train.seeds=[0, 1]")
    run = fit(config, config.dataset.load(), tmp_path / "run").folder
    assert history(run, 0)[0]["loss"] != history(run, 1)[0]["loss"]


def test_deterministic_sums_end_with_the_training() -> None:
    def fail() -> None:
        with deterministic():
            assert torch.are_deterministic_algorithms_enabled()
            raise TrainingError

    with pytest.raises(TrainingError):
        fail()
    assert not torch.are_deterministic_algorithms_enabled()


def test_learning_rate_decays(tmp_path: Path) -> None:
    records = train(tmp_path, "train.decay=0.5", "train.decay_epochs=4", "train.learning_rate=0.01")
    rates = [record["learning_rate"] for record in records]
    assert rates == pytest.approx([0.01 * 0.5 ** (epoch / 4) for epoch in range(6)], rel=1e-12)


def test_evaluates_when_due_and_after_the_last_epoch(tmp_path: Path) -> None:
    records = train(tmp_path, "train.evaluate_every=4")
    assert [record["epoch"] for record in records if record["validation"]] == [4, 6]
    assert set(records[3]["validation"]) == {"Recall@5", "NDCG@5", "Coverage@5"}


class Scripted:
    """Evaluation whose Recall@5 on validation is given, in the order of the evaluations."""

    def __init__(self, values: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
        self.values, self.real = iter(values), Evaluator.evaluate
        monkeypatch.setattr(Evaluator, "evaluate", lambda *arguments: self.evaluate(*arguments))

    def evaluate(self, evaluator: Evaluator, scorer: Any, split: Any) -> RankingResult:
        result = self.real(evaluator, scorer, split)
        value = next(self.values, None) if split == "validation" else None
        return result if value is None else result._replace(metrics=result.metrics | {"Recall@5": value})


@pytest.mark.parametrize(
    ("every", "values", "best", "last"),
    [
        (1, [0.1, 0.3, 0.2, 0.2, 0.9], 2, 4),
        (1, [0.1, 0.2, 0.1, 0.3, 0.1, 0.1, 0.9], 4, 6),
        (1, [0.3, 0.3, 0.3, 0.9], 1, 3),  # equal is not better
        (3, [0.3, 0.2, 0.1, 0.9], 3, 9),  # patience counts evaluations, not epochs
    ],
)
def test_stops_when_patience_is_spent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: int, values: list[float], best: int, last: int
) -> None:
    Scripted(values, monkeypatch)
    config = tiny_config(tmp_path, "train.epochs=30", "train.patience=2", f"train.evaluate_every={every}")
    result = fit(config, config.dataset.load(), tmp_path / "run")
    assert result.seeds[0]["best_epoch"] == best
    assert result.seeds[0]["epochs"] == last
    assert len(history(result.folder)) == last


def test_keeps_the_weights_of_the_best_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which are on disk one epoch later here, after the model has changed."""
    Scripted([0.1, 0.2, 0.9, 0.3, 0.4, 0.5], monkeypatch)
    config = tiny_config(tmp_path)
    data = config.dataset.load()
    run = fit(config, data, tmp_path / "six").folder
    shorter = fit(tiny_config(tmp_path, "train.epochs=3"), data, tmp_path / "three").folder
    last_of_three, _ = read_tensors(shorter / "seed-0/checkpoint.safetensors")
    best, metadata = read_tensors(run / "seed-0/best.safetensors")
    assert metadata["epoch"] == "3"
    assert all(torch.equal(best[name], last_of_three[f"model/{name}"]) for name in best)
    loaded = load_run(run).model.state_dict()
    assert all(torch.equal(loaded[name], best[name]) for name in best)


@pytest.mark.parametrize(("epochs", "expected"), [(4, [2, 4]), (5, [2, 4, 5])])
def test_every_checkpoint_is_written_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epochs: int, expected: list[int]
) -> None:
    saved = []
    save = "anchorrec_graph.train.trainer.save_checkpoint"
    monkeypatch.setattr(save, lambda *arguments: saved.append(arguments[4].epoch))
    train(tmp_path, f"train.epochs={epochs}", "train.checkpoint_every=2", "train.patience=9")
    assert saved == expected


def poisoned(monkeypatch: pytest.MonkeyPatch, step: int, value: float) -> None:
    """From the given step on, the term l2 is `value`."""
    real, steps = LightGCN.loss_terms, iter(range(10**6))

    def loss_terms(model: LightGCN, batch: Batch) -> dict[str, Tensor]:
        terms = real(model, batch)
        return terms | {"l2": terms["l2"] * value} if next(steps) >= step else terms

    monkeypatch.setattr(LightGCN, "loss_terms", loss_terms)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_term_that_is_not_finite_stops_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    config = tiny_config(tmp_path)
    data = config.dataset.load()
    steps = -(-data["user", "interacts", "item"].edge_index.shape[1] // 128)
    with monkeypatch.context() as patch:
        poisoned(patch, 4 * steps + 1, value)
        with pytest.raises(
            TrainingError, match=r"epoch 5: loss term 'l2' is (nan|inf); lower train\.learning"
        ):
            fit(config, data, tmp_path / "run")
    assert len(history(tmp_path / "run")) == 4
    assert load_run(tmp_path / "run").model is not None  # the best of the four epochs
    fit(config, data, tmp_path / "run", resume=True)
    assert outcome(tmp_path / "run") == outcome(fit(config, data, tmp_path / "other").folder)


class Recorder(Display):
    def __init__(self) -> None:
        self.calls: list[Any] = []

    def start(self, title: str, done: int, total: int) -> None:
        self.calls.append((title, done, total))

    def epoch(self, epoch: int, loss: float, validation: Mapping[str, float], best: float) -> None:
        self.calls.append((epoch, dict(validation), best))

    def stop(self, message: str) -> None:
        self.calls.append(message)


def test_tells_the_display(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Scripted([0.2, 0.1], monkeypatch)
    config: Config = tiny_config(tmp_path, "train.epochs=4", "train.evaluate_every=2")
    display = Recorder()
    fit(config, config.dataset.load(), tmp_path / "run", display=display)
    start, *epochs, stop = display.calls
    assert start == ("lightgcn on planted, seed 0", 0, 4)
    assert [epoch[:2] for epoch in epochs] == [
        (1, {}),
        (2, {"Recall@5": 0.2}),
        (3, {}),
        (4, {"Recall@5": 0.1}),
    ]
    assert epochs[-1][2] == 0.2
    assert stop.startswith("best validation Recall@5 0.2000 in epoch 2 of 4, ")


def test_tells_the_display_also_when_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny_config(tmp_path)
    display = Recorder()
    poisoned(monkeypatch, 0, float("nan"))
    with pytest.raises(TrainingError):
        fit(config, config.dataset.load(), tmp_path / "run", display=display)
    assert display.calls[-1] == "stopped after epoch 0 of 6"
