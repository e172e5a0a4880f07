"""Settings of training."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from anchorrec_graph.settings import Settings


def _each_once(seeds: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(seeds)) < len(seeds):
        raise ValueError("a seed occurs twice; it would train the same model again")
    return seeds


def _all_or_some(count: int) -> int:
    if count < -1 or count == 0:
        raise ValueError("a number of neighbours above 0, or -1 for all")
    return count


HopCount = Annotated[int, AfterValidator(_all_or_some)]
SeedNumber = Annotated[int, Field(ge=0, lt=2**32)]  # what a torch generator tells apart


class TrainConfig(Settings):
    """How long and how a model is trained. Epochs are chosen on validation, by `metric`."""

    epochs: PositiveInt = 500
    batch_size: PositiveInt = 2048
    batches_per_step: PositiveInt = 1  # batches whose gradients one optimiser step averages (`gradient`)
    mode: Literal["full", "sampled"] = "full"  # what a batch travels over: the graphs, or what it reaches
    num_neighbors: Annotated[tuple[HopCount, ...], Field(min_length=1)] = (10, 5)  # sampled: by hop; -1: all
    shard_tables: bool = False  # sampled: each of several processes holds its part of the tables (`sharding`)
    learning_rate: PositiveFloat = 1e-3
    decay: Annotated[float, Field(gt=0, le=1)] = 0.96  # learning rate x decay ** ((epoch - 1) / decay_epochs)
    decay_epochs: PositiveInt = 50
    metric: str = "Recall@20"
    patience: PositiveInt = 20  # evaluations without a better value before it stops
    evaluate_every: PositiveInt = 1  # epochs
    checkpoint_every: PositiveInt = 5  # epochs
    checkpoint_steps: NonNegativeInt = 0  # sampled: also after so many steps within an epoch; 0: not
    snapshot_every: NonNegativeInt = 0  # epochs whose weights are kept, for `diagnose --epochs`; 0: none
    seeds: Annotated[tuple[SeedNumber, ...], Field(min_length=1), AfterValidator(_each_once)] = (0,)
    tensorboard: bool = False  # also write TensorBoard events (extra `track`)

    def out_of_patience(self, epoch: int, best_epoch: int) -> bool:
        """Whether a training that has come to `epoch` has waited long enough for one better than the best."""
        return epoch > 0 and (epoch - best_epoch) // self.evaluate_every >= self.patience

    @model_validator(mode="after")
    def _only_what_is_reached(self) -> TrainConfig:
        if self.shard_tables and self.mode != "sampled":
            raise ValueError(
                "train.shard_tables needs train.mode 'sampled': in mode 'full' every step reads whole tables"
            )
        if self.checkpoint_steps and self.mode != "sampled":
            raise ValueError(
                "train.checkpoint_steps needs train.mode 'sampled': in mode 'full' a step may read what its "
                "epoch began with (a pruned or learned graph); take train.checkpoint_every"
            )
        return self
