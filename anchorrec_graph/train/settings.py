"""Settings of training."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, NonNegativeInt, PositiveFloat, PositiveInt

from anchorrec_graph.settings import Settings


def _each_once(seeds: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(seeds)) < len(seeds):
        raise ValueError("a seed occurs twice; it would train the same model again")
    return seeds


SeedNumber = Annotated[int, Field(ge=0, lt=2**63)]  # what a torch generator takes


class TrainConfig(Settings):
    """How long and how a model is trained. Epochs are chosen on validation, by `metric`."""

    epochs: PositiveInt = 500
    batch_size: PositiveInt = 2048
    batches_per_step: PositiveInt = 1  # batches whose gradients one optimiser step averages (`gradient`)
    learning_rate: PositiveFloat = 1e-3
    decay: Annotated[float, Field(gt=0, le=1)] = 0.96  # learning rate x decay ** (epoch / decay_epochs)
    decay_epochs: PositiveInt = 50
    metric: str = "Recall@20"
    patience: PositiveInt = 20  # evaluations without a better value before it stops
    evaluate_every: PositiveInt = 1  # epochs
    checkpoint_every: PositiveInt = 5  # epochs
    snapshot_every: NonNegativeInt = 0  # epochs whose weights are kept, for `diagnose --epochs`; 0: none
    seeds: Annotated[tuple[SeedNumber, ...], Field(min_length=1), AfterValidator(_each_once)] = (0,)
    tensorboard: bool = False  # also write TensorBoard events (extra `track`)
