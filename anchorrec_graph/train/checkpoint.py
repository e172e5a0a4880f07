"""Checkpoints: one safetensors file that holds everything needed to continue bit for bit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from anchorrec_graph.errors import RunError
from anchorrec_graph.files import save_tensors
from anchorrec_graph.train.optimizer import AdamOfModel


class Progress(NamedTuple):
    """How far a training is."""

    epoch: int = 0  # epochs completed
    best_epoch: int = 0
    best_value: float = -float("inf")
    seconds: float = 0.0  # of training and evaluation in these epochs
    step: int = 0  # steps completed of the next epoch
    terms: dict[str, float] = {}  # noqa: RUF012  sums of the loss terms over these steps
    step_seconds: float = 0.0  # of these steps


def save_checkpoint(
    path: Path,
    model: nn.Module,
    optimizer: AdamOfModel,
    generator: torch.Generator,
    progress: Progress,
    key: str,
) -> None:
    """Write weights, optimiser state, both random states and progress as one file, atomically.

    Within an epoch `generator` is as it was when the epoch began.

    `key` says what the checkpoint belongs to (settings, data, seed).
    """
    tensors = training_state(model, optimizer, generator)
    save_tensors(path, tensors, {"progress": json.dumps(progress), "key": key})


def training_state(model: nn.Module, optimizer: AdamOfModel, generator: torch.Generator) -> dict[str, Tensor]:
    """Weights, optimiser state and both random states, by name."""
    tensors = {f"model/{name}": value for name, value in model.state_dict().items()}
    tensors |= {f"optimizer/{name}": value for name, value in optimizer.state().items()}
    tensors["random/epoch"] = generator.get_state()
    tensors["random/global"] = torch.get_rng_state()
    return tensors


def load_checkpoint(
    path: Path, model: nn.Module, optimizer: AdamOfModel, generator: torch.Generator, key: str
) -> Progress:
    """Put everything that `save_checkpoint` wrote back in place.

    Raises:
        RunError: the file is damaged, or belongs to other settings, data or seed.
    """
    tensors, metadata = read_tensors(path)
    if metadata.get("key") != key:
        raise RunError(f"{path}: belongs to other settings, data or seed; start a new run folder")
    try:
        model.load_state_dict(below(tensors, "model/"))
        optimizer.load(below(tensors, "optimizer/"))
        generator.set_state(tensors["random/epoch"])
        torch.set_rng_state(tensors["random/global"])
        return Progress(*json.loads(metadata["progress"]))
    except (IndexError, KeyError, RuntimeError, ValueError) as error:
        raise RunError(f"{path}: does not fit the model ({error}); start a new run folder") from error


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors and the metadata of a safetensors file.

    Raises:
        RunError: the file is missing or damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise RunError(f"{path}: cannot be read ({error}); delete it, and this seed starts anew") from error


def below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names start with `prefix`, by the rest of their names."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
