"""Trainings of a second: a planted shop of 60 users and 40 items, and what two runs must agree in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import torch
from safetensors import safe_open
from torch import Tensor

from anchorrec_graph.config import Config, load_config
from anchorrec_graph.train.checkpoint import Progress
from anchorrec_graph.train.progress import Silent

TINY = """\
dataset:
  {name: planted, num_users: 60, num_items: 40, interactions_per_user: 8, num_clusters: 4,
   image_dim: 8, text_dim: 6}
model: {name: lightgcn, embedding_dim: 8}
train: {epochs: 6, batch_size: 128, learning_rate: 0.01, metric: Recall@5, checkpoint_every: 2}
evaluate: {metrics: [Recall@5, NDCG@5, Coverage@5]}
"""
SECONDS = ("seconds", "build_seconds", "train_seconds", "evaluate_seconds")  # the only values that may differ


class InterruptAfter(Silent):
    """Ctrl-C after an epoch."""

    def __init__(self, last: int) -> None:
        self.last = last

    def epoch(self, epoch: int, *_: Any) -> None:
        if epoch == self.last:
            raise KeyboardInterrupt


def write_tiny(folder: Path, *overrides: str) -> Path:
    """A complete configuration file."""
    path = folder / "short.yaml"
    path.write_text(TINY, encoding="utf-8")
    path.write_text(load_config(path, overrides).to_yaml(), encoding="utf-8")
    return path


def tiny_config(folder: Path, *overrides: str) -> Config:
    return load_config(write_tiny(folder, *overrides))


def outcome(run: Path) -> dict[str, Any]:
    """Everything that a finished run leaves, with tensors as bytes, and without seconds and machine."""
    found: dict[str, Any] = {}
    for path in sorted(run.rglob("*")):
        name = str(path.relative_to(run))
        if path.suffix == ".safetensors":
            found[name] = tensors(path)
        elif path.suffix == ".parquet":
            found[name] = pl.read_parquet(path).to_dict(as_series=False)
        elif path.suffix == ".jsonl":
            found[name] = [without_seconds(json.loads(line)) for line in path.read_text().splitlines()]
        elif path.name in ("metrics.json", "summary.json", "manifest.json"):
            found[name] = without_seconds(json.loads(path.read_text()))
        elif path.is_file() and path.name != "environment.json":
            found[name] = path.read_text()
    return found


def differences(found: Any, expected: Any, at: str = "") -> list[str]:
    """Where two outcomes differ, in few words: whole outcomes are too long to read."""
    if isinstance(found, dict) and isinstance(expected, dict):
        missing = [f"{at}/{key}: only in one" for key in sorted(found.keys() ^ expected.keys())]
        both = [key for key in found if key in expected]
        return missing + [
            line for key in both for line in differences(found[key], expected[key], f"{at}/{key}")
        ]
    if isinstance(found, list) and isinstance(expected, list) and len(found) == len(expected):
        pairs = enumerate(zip(found, expected, strict=True))
        return [line for row, (a, b) in pairs for line in differences(a, b, f"{at}/{row}")]
    return [] if found == expected else [f"{at}: {str(found)[:60]} and not {str(expected)[:60]}"]


def tensors(path: Path) -> dict[str, Any]:
    with safe_open(path, framework="pt") as file:
        found: dict[str, Any] = {name: as_bytes(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118
        metadata = file.metadata()
    if "progress" in metadata:
        progress = Progress(*json.loads(metadata["progress"]))
        metadata["progress"] = str(progress._replace(seconds=0.0, step_seconds=0.0))
    return found | metadata


def as_bytes(tensor: Tensor) -> bytes:
    return (
        bytes(tensor.contiguous().view(torch.uint8).numpy()) if tensor.dim() else bytes(str(tensor), "utf-8")
    )


def without_seconds(record: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key not in SECONDS}
