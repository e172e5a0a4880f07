"""One optimiser step over several batches."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_runs import tiny_config

from anchorrec_graph.evaluate.evaluator import Evaluator
from anchorrec_graph.graph.relation import Relation
from anchorrec_graph.models.base import build_model
from anchorrec_graph.train.fit import fit
from anchorrec_graph.train.gradient import add_gradient
from anchorrec_graph.train.history import read_history
from anchorrec_graph.train.trainer import Trainer
from anchorrec_graph.typing import Batch


@pytest.mark.parametrize(("model", "shared"), [("lightgcn", True), ("anchorrec", True), ("vbpr", False)])
def test_a_step_travels_the_graphs_once(tmp_path: Path, model: str, shared: bool) -> None:
    config = tiny_config(tmp_path, f"model={{name: {model}, embedding_dim: 8}}")
    data = config.dataset.load()
    built = build_model(config.model, data)
    trainer = Trainer(built, data, config.train, Evaluator(config.evaluate, data), 0)
    one, two = list(trainer.batches())[:2]
    travelled: list[int] = []
    for part in built.modules():
        if isinstance(part, Relation):
            part.register_forward_hook(lambda *_: travelled.append(1))
    add_gradient(built, [one])
    alone = len(travelled)
    add_gradient(built, [one, two])
    assert len(travelled) == alone + (alone if shared else 2 * alone)


@pytest.mark.parametrize("model", ["lightgcn", "anchorrec"])
def test_the_loss_falls_with_several_batches_a_step(tmp_path: Path, model: str) -> None:
    settings = f"model={{name: {model}, embedding_dim: 8}}", "train.batches_per_step=3", "train.epochs=6"
    config = tiny_config(tmp_path, *settings)
    records = read_history(
        fit(config, config.dataset.load(), tmp_path / "run").folder / "seed-0/history.jsonl"
    )
    losses = [record["loss"] for record in records]
    assert losses[-1] < losses[0]
    assert all(record["loss"] == pytest.approx(sum(record["terms"].values())) for record in records)


def test_an_epoch_takes_every_batch_and_its_last_step_may_have_fewer(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, "model={name: lightgcn, embedding_dim: 8}", "train.batch_size=10")
    data = config.dataset.load()
    config = config.model_copy(update={"train": config.train.model_copy(update={"batches_per_step": 4})})
    trainer = Trainer(
        build_model(config.model, data), data, config.train, Evaluator(config.evaluate, data), 0
    )
    sizes: list[int] = []
    taken: list[Batch] = []

    def step(batches: list[Batch], count: int) -> dict[str, float]:
        assert len(batches) == count
        sizes.append(len(batches))
        taken.extend(batches)
        return {"ranking": 0.0}

    trainer.step = step  # type: ignore[assignment,method-assign]
    next(trainer.epochs())
    number = trainer.edge_index.shape[1]
    total = -(-number // 10)
    assert sizes == [4] * (total // 4) + [total % 4] * (total % 4 > 0)
    pairs = torch.stack([torch.cat([b.users for b in taken]), torch.cat([b.positive_items for b in taken])])
    assert sorted(pairs.T.tolist()) == sorted(trainer.edge_index.T.tolist())
