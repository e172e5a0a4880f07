"""Run folders: what a training leaves on disk, and how it is read back.

    <run>/config.yaml  environment.json  manifest.json  summary.json
    <run>/seed-<s>/history.jsonl  checkpoint.safetensors  best.safetensors  metrics.json  per_user.parquet
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import polars as pl
from torch import Tensor

from anchorrec_graph.config import Config, load_config
from anchorrec_graph.errors import RunError
from anchorrec_graph.files import replacing, save_json, save_tensors
from anchorrec_graph.train.checkpoint import Progress, read_tensors
from anchorrec_graph.train.environment import environment


class SeedFolder:
    """The files of one seed of a run."""

    def __init__(self, path: Path, title: str, key: str) -> None:
        self.path, self.title, self.key = path, title, key
        self.history = path / "history.jsonl"
        self.checkpoint = path / "checkpoint.safetensors"
        self.best = path / "best.safetensors"
        self.metrics = path / "metrics.json"
        self.per_user = path / "per_user.parquet"

    def save_best(self, weights: dict[str, Tensor], progress: Progress) -> None:
        save_tensors(self.best, weights, {"progress": json.dumps(progress), "key": self.key})

    def load_best(self) -> dict[str, Tensor]:
        """The weights of the best epoch.

        Raises:
            RunError: none saved yet, damaged, or of other settings or data.
        """
        weights, metadata = read_tensors(self.best)
        if metadata.get("key") != self.key:
            raise RunError(f"{self.best}: belongs to other settings, data or seed; train again")
        return weights

    def save_result(self, result: dict[str, Any], per_user: pl.DataFrame) -> None:
        """Per-user metrics first: a `metrics.json` says that the seed is complete."""
        with replacing(self.per_user) as temporary:
            per_user.write_parquet(temporary)
        save_json(self.metrics, result)

    def load_result(self) -> dict[str, Any] | None:
        """What `save_result` wrote, or None if the seed is not complete."""
        if not self.metrics.exists():
            return None
        result: dict[str, Any] = json.loads(self.metrics.read_text(encoding="utf-8"))
        return result


class RunFolder:
    """The folder of a run: one configuration, one data set, one or more seeds."""

    def __init__(self, path: Path, config: Config, data_hash: str) -> None:
        self.path, self.config, self.data_hash = path, config, data_hash

    @classmethod
    def create(cls, path: Path | None, config: Config, manifest: dict[str, Any]) -> RunFolder:
        """Make a new folder (default `runs/<model>-<dataset>-<time>`).

        Raises:
            RunError: it already holds a run.
        """
        path = path if path is not None else _unused(Path("runs"), config)
        if (path / "config.yaml").exists():
            raise RunError(f"{path} already holds a run; continue it with --resume, or name another folder")
        save_json(path / "manifest.json", manifest)
        save_json(path / "environment.json", environment())
        with replacing(path / "config.yaml") as temporary:  # last: it marks the folder as a run
            temporary.write_text(config.to_yaml(), encoding="utf-8")
        return cls(path, config, str(manifest["hash"]))

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Open an existing folder.

        Raises:
            RunError: it holds no run, or its files are damaged.
        """
        if not (path / "config.yaml").exists():
            raise RunError(f"{path}: no run here (config.yaml is missing)")
        try:
            manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
            data_hash = str(manifest["hash"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(f"{path / 'manifest.json'}: cannot be read ({error})") from error
        return cls(path, load_config(path / "config.yaml"), data_hash)

    def check_data(self, manifest: dict[str, Any]) -> None:
        """Refuse data that differ from those of the run.

        Raises:
            RunError: naming the hashes.
        """
        if manifest["hash"] != self.data_hash:
            raise RunError(
                f"{self.path}: made from data {self.data_hash[:12]}, but the data set is now "
                f"{str(manifest['hash'])[:12]}; restore the data or train again"
            )

    def seed(self, seed: int) -> SeedFolder:
        title = f"{self.config.model.name} on {self.config.dataset.name}, seed {seed}"
        return SeedFolder(self.path / f"seed-{seed}", title, f"{self.config.hash}|{self.data_hash}|{seed}")


def _unused(parent: Path, config: Config) -> Path:
    """`parent/<model>-<dataset>-<time>`, with a number behind it if that is taken."""
    base = f"{config.model.name}-{config.dataset.name}-{time.strftime('%Y%m%d-%H%M%S')}"
    path, number = parent / base, 1
    while path.exists():
        number += 1
        path = parent / f"{base}-{number}"
    return path
