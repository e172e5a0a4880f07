"""The training loop: one seed, from initial weights to the best epoch on validation."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from anchorrec_graph.data.link_sampler import LinkSampler
from anchorrec_graph.data.sampler import NegativeSampler
from anchorrec_graph.errors import ConfigError, RunError, TrainingError
from anchorrec_graph.evaluate.evaluator import Evaluator
from anchorrec_graph.graph.bipartite import train_graph
from anchorrec_graph.graph.graphs import SampledBatch
from anchorrec_graph.models.base import Recommender, SampledRecommender
from anchorrec_graph.train.checkpoint import Progress, load_checkpoint, save_checkpoint
from anchorrec_graph.train.gradient import add_gradient, sum_over_ranks
from anchorrec_graph.train.history import History
from anchorrec_graph.train.optimizer import AdamOfModel
from anchorrec_graph.train.progress import Display
from anchorrec_graph.train.ranks import ALONE, Ranks, weights_digest
from anchorrec_graph.train.seed import SeedFolder
from anchorrec_graph.train.settings import TrainConfig
from anchorrec_graph.train.sharding import Sharding
from anchorrec_graph.typing import Batch

Checkpoint = Callable[[torch.Generator], None]


class Trainer:
    """Adam on the sum of the model's loss terms; keeps the weights of the best validation epoch.

    The randomness of an epoch (order, negatives, what `start_epoch` draws) comes from
    one generator. Its state and PyTorch's own are part of the checkpoint: a run that was killed and
    resumed ends with the same bits as one that was not, on the same machine and
    number of threads.

    Of several processes (`ranks`) each does the same epochs and steps; only the first writes and shows.
    """

    def __init__(
        self,
        model: Recommender,
        data: HeteroData,
        config: TrainConfig,
        evaluator: Evaluator,
        seed: int,
        ranks: Ranks = ALONE,
    ) -> None:
        self.model, self.config, self.evaluator, self.seed, self.ranks = model, config, evaluator, seed, ranks
        self.edge_index, num_users, num_items = train_graph(data)
        self.sampler = NegativeSampler(self.edge_index, num_users, num_items)
        self.links = _link_sampler(model, config, self.sampler) if config.mode == "sampled" else None
        self.sharding = Sharding(model, ranks) if config.shard_tables else None
        self.optimizer = AdamOfModel(model, config.learning_rate, sparse=self.links is not None)
        self.generator = torch.Generator().manual_seed(seed)
        self.progress = Progress()
        self.best: dict[str, Tensor] | None = None  # better weights that are not on disk yet

    def load(self, folder: SeedFolder) -> Progress:
        """Continue from the folder's checkpoint, if it has one; how far that is."""
        own = self.optimizer, self.generator, folder.key
        if self.sharding is not None:
            latest = self.ranks.first(lambda: [str(path) for path in folder.sharded_checkpoints()][-1:])
            if latest:
                from anchorrec_graph.train.sharded_checkpoint import load_sharded

                self.progress = load_sharded(Path(latest[0]), self.sharding, *own)
        elif folder.checkpoint.exists():
            self.progress = load_checkpoint(folder.checkpoint, self.model, *own)
        return self.progress

    def run(self, folder: SeedFolder, display: Display) -> Progress:
        """Train to the end, from where `load` got to.

        Raises:
            TrainingError: a loss term is not finite. The last checkpoint stays.
            RunError: the best weights of a run that goes on are lost or damaged.
        """
        self.ranks.check_equal("the checkpoints", lambda: json.dumps(self.progress))
        if self.progress.best_epoch:  # if they are lost, say so now and not after the training
            if not folder.best.exists():
                raise RunError(
                    f"{folder.best}: the best weights so far are lost; delete {folder.path}, and this seed "
                    "starts anew"
                )
            folder.load_best()
        display.start(folder.title + self.ranks.label, self.progress.epoch, self.config.epochs)
        try:
            self._train(folder, display)
            if self.sharding is not None:
                self.sharding.undo()
            self.ranks.wait()  # until the best weights can be read
        except BaseException:
            display.stop(f"stopped after epoch {self.progress.epoch} of {self.config.epochs}")
            raise
        display.stop(
            f"best validation {self.config.metric} {self.progress.best_value:.4f} "
            f"in epoch {self.progress.best_epoch} of {self.progress.epoch}, {self.progress.seconds:.0f} s"
        )
        return self.progress

    def _train(self, folder: SeedFolder, display: Display) -> None:
        with self._history(folder) as history:
            for record in self.epochs(lambda begun: self._save(folder, begun)):
                if history is not None:
                    history.write(record)
                shown = {k: v for k, v in record["validation"].items() if k == self.config.metric}
                display.epoch(record["epoch"], record["loss"], shown, self.progress.best_value)
                if self.config.snapshot_every and self.progress.epoch % self.config.snapshot_every == 0:
                    weights = self.whole(self.model.state_dict())
                    if self.ranks.is_first:
                        folder.save_epoch(self.progress.epoch, weights)
                if self.progress.epoch % self.config.checkpoint_every == 0:
                    self._save(folder)
        if self.progress.epoch % self.config.checkpoint_every:
            self._save(folder)

    def _history(self, folder: SeedFolder) -> AbstractContextManager[History | None]:
        if not self.ranks.is_first:
            return nullcontext()
        history = History(folder.history, self.progress.epoch, self.config.tensorboard)
        folder.drop_epochs(after=self.progress.epoch)
        return history

    def epochs(self, checkpoint: Checkpoint = lambda _: None) -> Iterator[dict[str, Any]]:
        """Train until the last epoch or until patience is spent; the history record of each epoch.

        Args:
            checkpoint: called after every `train.checkpoint_steps` steps of an epoch with the generator as it
                was when the epoch began.
        """
        while self.progress.epoch < self.config.epochs and not self.config.out_of_patience(
            self.progress.epoch, self.progress.best_epoch
        ):
            with deterministic():
                record = self._epoch(checkpoint)
            yield record

    def _epoch(self, checkpoint: Checkpoint) -> dict[str, Any]:
        """Train one epoch or its rest, evaluate if it is due, and return the history record."""
        started, epoch = time.perf_counter() - self.progress.step_seconds, self.progress.epoch + 1
        rate = self.config.learning_rate * self.config.decay ** ((epoch - 1) / self.config.decay_epochs)
        self.optimizer.set_learning_rate(rate)
        self.model.train()
        done, terms, begun = self.progress.step, dict(self.progress.terms), self.generator.clone_state()
        self.ranks.draw_apart(self.seed, epoch, *([done] if done else []))
        self.model.start_epoch(self.generator)
        for batches, count in self.steps(done):
            for name, value in self.step(batches, count).items():
                terms[name] = terms.get(name, 0.0) + value
            done += 1
            if self.config.checkpoint_steps and done % self.config.checkpoint_steps == 0:
                spent = time.perf_counter() - started
                self.progress = self.progress._replace(step=done, terms=dict(terms), step_seconds=spent)
                checkpoint(begun)
                self.ranks.draw_apart(self.seed, epoch, done)
        terms = {name: total / done for name, total in terms.items()}
        self.ranks.check_equal("the weights", lambda: weights_digest(self.model))
        trained = time.perf_counter()
        due = epoch % self.config.evaluate_every == 0 or epoch == self.config.epochs
        validation = self._validate(epoch) if due else {}
        ended = time.perf_counter()
        before = self.progress
        self.progress = Progress(
            epoch, before.best_epoch, before.best_value, before.seconds + ended - started
        )
        return {
            "epoch": epoch, "loss": sum(terms.values()), "terms": terms, "validation": validation,
            "learning_rate": rate, "train_seconds": trained - started, "evaluate_seconds": ended - trained,
        }  # fmt: skip

    def batches(self) -> Iterator[Batch | SampledBatch]:
        """The training pairs of an epoch in random order, each with one sampled negative."""
        for batches, _ in self.steps():
            yield from batches

    def steps(self, done: int = 0) -> Iterator[tuple[Sequence[Batch | SampledBatch], int]]:
        """This rank's batches of every step of an epoch, and how many the step has on all ranks.

        Args:
            done: steps to leave out at its start, in mode `sampled`.
        """
        order = torch.randperm(self.edge_index.shape[1], generator=self.generator)
        parts, size = order.split(self.config.batch_size), self.config.batches_per_step
        steps = [parts[start : start + size] for start in range(0, len(parts), size)]
        if self.links is None:  # every rank draws all, so that its generator is that of one process
            for step in steps:
                yield self.ranks.part([self._with_negatives(rows) for rows in step]), len(step)
            return
        seed = int(torch.randint(2**62, (), generator=self.generator))
        own = [self.ranks.part(step) for step in steps[done:]]
        drawn = self.links.batches(self.edge_index, [rows for step in own for rows in step], seed)
        for step, mine in zip(steps[done:], own, strict=True):
            yield list(islice(drawn, len(mine))), len(step)

    def _with_negatives(self, rows: Tensor) -> Batch:
        users, positives = self.edge_index[:, rows]
        return Batch(users, positives, self.sampler.sample(users, self.generator))

    def step(self, batches: Sequence[Batch | SampledBatch], count: int | None = None) -> dict[str, float]:
        """One optimiser step on the mean of the batches' losses; returns the value of every loss term.

        Args:
            batches: of this rank.
            count: the batches of all ranks; default those given.
        """
        self.optimizer.zero_grad()
        if self.sharding is not None:
            self.sharding.fetch(batches)
        values = add_gradient(self.model, batches, count)
        values = sum_over_ranks(self.model, values, self.ranks)
        if self.sharding is not None:
            self.sharding.send_back()
        for name, value in values.items():
            if value - value != 0:  # neither finite nor worth a step
                raise TrainingError(
                    f"epoch {self.progress.epoch + 1}: loss term '{name}' is {value}; lower "
                    "train.learning_rate or that term's weight, in a new run"
                )
        self.optimizer.step()
        return values

    def _validate(self, epoch: int) -> dict[str, float]:
        """Validation metrics; remembers the weights if the selection metric is the best so far."""
        self.model.eval()
        with torch.no_grad():
            metrics = self.evaluator.evaluate(self.model.final(), "validation").metrics
        value = self.ranks.gather(metrics[self.config.metric])[0]  # another processor may round it otherwise
        if value > self.progress.best_value:
            self.progress = self.progress._replace(best_epoch=epoch, best_value=value)
            if self.ranks.is_first or self.sharding is not None:
                self.best = copy.deepcopy(self.model.state_dict())
        return metrics

    def _save(self, folder: SeedFolder, generator: torch.Generator | None = None) -> None:
        """Best weights first: if the process dies in between, the epochs since repeat and write them anew.

        Args:
            generator: of the epoch that the checkpoint is in, as it began; None: between epochs.
        """
        if self.best is not None:
            weights = self.whole(self.best)
            if self.ranks.is_first:
                folder.save_best(weights, self.progress)
            self.best = None
        own = self.optimizer, generator or self.generator, self.progress, folder.key
        if self.sharding is not None:
            from anchorrec_graph.train.sharded_checkpoint import save_sharded  # takes a second to import

            save_sharded(folder.sharded_checkpoint(self.progress), self.sharding, *own)
        elif self.ranks.is_first:
            save_checkpoint(folder.checkpoint, self.model, *own)

    def whole(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """A state dict of the model with whole tables, from one with this rank's part. All ranks call it."""
        return weights if self.sharding is None else self.sharding.whole(weights)


def _link_sampler(model: Recommender, config: TrainConfig, negatives: NegativeSampler) -> LinkSampler:
    if not isinstance(model, SampledRecommender):
        raise ConfigError(
            f"train.mode 'sampled': {type(model).__name__} needs its whole graphs in every step; "
            "take train.mode 'full', or a model that draws neighbours (anchorrec, lightgcn)"
        )
    return LinkSampler(model.whole(), model.prepare_sampling(), config.num_neighbors, negatives)


@contextmanager
def deterministic() -> Iterator[None]:
    """Sums in a fixed order: else several threads add the gradients of repeated rows in any order."""
    settings: Any = torch.utils.deterministic
    before = torch.are_deterministic_algorithms_enabled(), settings.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    settings.fill_uninitialized_memory = False  # a search for bugs that costs a pass over every new tensor
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        settings.fill_uninitialized_memory = before[1]
