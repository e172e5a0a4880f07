"""Trainings of benchmarks/cold.py: every finished one is kept and never repeated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch_geometric.data import HeteroData

from anchorrec_graph.config import Config
from anchorrec_graph.data.base import INTERACTS
from anchorrec_graph.data.manifest import content_hash, json_hash
from anchorrec_graph.errors import TrainingError
from anchorrec_graph.evaluate.evaluator import Evaluator
from anchorrec_graph.evaluate.user_items import PAIRS
from anchorrec_graph.files import save_tensors
from anchorrec_graph.models.base import Recommender, build_model
from anchorrec_graph.train.trainer import Trainer


class Trained(NamedTuple):
    """A model with the weights of its best epoch on validation, and how it came to them."""

    model: Recommender
    facts: dict[str, float]  # epochs, best epoch, seconds, value of train.metric


def trained(config: Config, data: HeteroData, seed: int, folder: Path, name: str) -> Trained:
    """Train `config.model` on data without test pairs, or read what an earlier call left in `folder`.

    The file is named by the settings, seed and data, so that no other training is taken for this one.

    Raises:
        TrainingError: a loss term is not finite, or no epoch was trained.
    """
    torch.manual_seed(seed)
    model = build_model(config.model, data)
    path = folder / f"{name}-{seed}-{_key(config, data, seed)}.safetensors"
    try:
        model.load_state_dict(load_file(path))
        with safe_open(path, framework="pt") as file:
            return Trained(model.eval(), json.loads(file.metadata()["facts"]))
    except (OSError, SafetensorError):
        facts = _train(model, config, data, seed)
    save_tensors(path, model.state_dict(), {"facts": json.dumps(facts)})
    return Trained(model.eval(), facts)


def _train(model: Recommender, config: Config, data: HeteroData, seed: int) -> dict[str, float]:
    trainer = Trainer(model, data, config.train, Evaluator(config.evaluate, data), seed)
    for _ in trainer.epochs():
        pass
    if trainer.best is None:
        raise TrainingError("no epoch was trained; raise train.epochs")
    model.load_state_dict(trainer.best)
    progress = trainer.progress
    return {
        "epochs": progress.epoch,
        "best epoch": progress.best_epoch,
        "seconds": progress.seconds,
        config.train.metric: progress.best_value,
    }


def _key(config: Config, data: HeteroData, seed: int) -> str:
    edges = data[INTERACTS]
    features = [data["item"][modality] for modality in data.modalities]
    content = content_hash(edges[PAIRS["train"]], edges[PAIRS["validation"]], *features)
    sizes = [int(data[kind].num_nodes) for kind in ("user", "item")]
    settings = config.model_dump(mode="json")
    del settings["dataset"], settings["train"]["seeds"]  # the content and the seed say more
    return json_hash([settings, content, sizes, list(data.modalities), seed])[:12]
