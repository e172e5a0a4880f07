"""The files of one seed of a run."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import polars as pl
from torch import Tensor

from anchorrec_graph.errors import RunError
from anchorrec_graph.files import replacing, save_json, save_tensors
from anchorrec_graph.train.checkpoint import Progress, read_tensors

CHECKPOINT = re.compile(r"checkpoint-(\d+)(?:-(\d+))?")


class SeedFolder:
    """Weights and metrics in it name the settings, data and seed that they belong to."""

    def __init__(self, path: Path, title: str, key: str) -> None:
        self.path, self.title, self.key = path, title, key
        self.history = path / "history.jsonl"
        self.checkpoint = path / "checkpoint.safetensors"
        self.best = path / "best.safetensors"
        self.epochs = path / "epochs"
        self.metrics = path / "metrics.json"
        self.per_user = path / "per_user.parquet"

    def save_best(self, weights: dict[str, Tensor], progress: Progress) -> None:
        epoch, value = str(progress.best_epoch), str(progress.best_value)
        save_tensors(self.best, weights, {"epoch": epoch, "value": value, "key": self.key})

    def load_best(self) -> dict[str, Tensor]:
        """The weights of the best epoch.

        Raises:
            RunError: none saved yet, damaged, or of other settings or data.
        """
        if not self.best.exists():
            raise RunError(
                f"{self.path}: not trained yet; continue with anchorrec train --resume {self.path.parent}"
            )
        return self._load(self.best)

    def save_epoch(self, epoch: int, weights: dict[str, Tensor]) -> None:
        save_tensors(self.epoch_path(epoch), weights, {"epoch": str(epoch), "key": self.key})

    def load_epoch(self, epoch: int) -> dict[str, Tensor]:
        """The weights after an epoch of `saved_epochs`.

        Raises:
            RunError: missing, damaged, or of other settings or data.
        """
        return self._load(self.epoch_path(epoch))

    def saved_epochs(self) -> list[int]:
        """The epochs whose weights were kept (`train.snapshot_every`), ascending."""
        return sorted(int(path.stem) for path in self.epochs.glob("[0-9]*.safetensors"))

    def drop_epochs(self, after: int) -> None:
        """Delete the weights of later epochs, which a run that was killed trains again or never reaches."""
        for epoch in self.saved_epochs():
            if epoch > after:
                self.epoch_path(epoch).unlink()

    def epoch_path(self, epoch: int) -> Path:
        return self.epochs / f"{epoch}.safetensors"

    def sharded_checkpoint(self, progress: Progress) -> Path:
        """The folder of a checkpoint of cut tables (`train.sharding`)."""
        step = f"-{progress.step}" if progress.step else ""
        return self.path / f"checkpoint-{progress.epoch}{step}"

    def sharded_checkpoints(self) -> list[Path]:
        """Those that are there, the latest last."""
        return sharded_checkpoints(self.path)

    def save_result(self, result: dict[str, Any], per_user: pl.DataFrame) -> None:
        """Per-user metrics first: a `metrics.json` says that the seed is complete."""
        with replacing(self.per_user) as temporary:
            per_user.write_parquet(temporary)
        save_json(self.metrics, {**result, "key": self.key})

    def load_result(self) -> dict[str, Any] | None:
        """What `save_result` wrote, or None if the seed is not complete.

        Raises:
            RunError: damaged, or of other settings or data.
        """
        if not self.metrics.exists():
            return None
        result = read_object(self.metrics)
        self._check(self.metrics, result)
        del result["key"]
        return result

    def _load(self, path: Path) -> dict[str, Tensor]:
        weights, metadata = read_tensors(path)
        self._check(path, metadata)
        return weights

    def _check(self, path: Path, labels: dict[str, Any]) -> None:
        if labels.get("key") != self.key:
            raise RunError(f"{path}: belongs to other settings, data or seed; start a new run folder")


def sharded_checkpoints(folder: Path) -> list[Path]:
    """The folders `checkpoint-<epoch>` and `checkpoint-<epoch>-<step>` in a folder, the latest last."""
    found = [(CHECKPOINT.fullmatch(path.name), path) for path in folder.glob("checkpoint-*")]
    return [path for _, path in sorted(((int(m[1]), int(m[2] or 0)), path) for m, path in found if m)]


def read_object(path: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        RunError: the file is missing or damaged.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{path}: cannot be read ({error}); restore it or train again") from error
    if not isinstance(value, dict):
        raise RunError(f"{path}: damaged (not a JSON object); restore it or train again")
    return value
