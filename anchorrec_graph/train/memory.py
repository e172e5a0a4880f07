"""A forecast of the memory that training needs, from the sizes of its parts."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch_geometric import EdgeIndex
from torch_geometric.data import HeteroData

from anchorrec_graph.config import Config
from anchorrec_graph.evaluate.evaluator import Evaluator
from anchorrec_graph.models.base import Recommender, build_model
from anchorrec_graph.nn.history import History
from anchorrec_graph.train.gradient import loss_terms
from anchorrec_graph.train.trainer import Trainer

# Fitted to the peak resident memory (VmHWM) of one-epoch trainings, each in a fresh process with one thread,
# torch 2.13 for CPU: anchorrec with three losses, widths 64 and 128, batches of 2048 to 16384, and lightgcn
# and popularity, on movielens and on planted shops up to 60,000 x 20,000 and features up to 4096 wide.
# Forecast / measured was 0.91 to 1.05, for 550 to 2100 MiB.
LIBRARIES = 540 * 2**20  # bytes resident once torch, PyG, scipy and polars are imported and have read data
PREPARED = 3  # copies of the widest feature matrix while item graphs and reduced features are made
SQUARES = 3  # float64 matrices [I, I] while item weights are solved for
WEIGHTS = 5  # values, gradients, Adam's two moments, and the best values so far
SAVED = 2.3  # bytes at the peak of a step for each that the forward pass saves for the backward pass
TABLES = 9  # embedding matrices [U + I, d] beside them
EDGE_INDEX = 2.5  # bytes of an EdgeIndex with its cached transpose, for each of its [2, E] entries


def forecast(config: Config, data: HeteroData) -> dict[str, int]:
    """Bytes by part, and their total. The model is built and runs on one batch, as in training.

    Making the features ready comes before the steps, so of these two only the larger is counted; so of a
    step and a block of evaluation.
    """
    model = build_model(config.model, data)
    fixed, weights = _size(model.buffers()), _size(p for p in model.parameters() if p.requires_grad)
    num_items = int(data["item"].num_nodes)
    step = 0
    if weights:
        with torch.no_grad():
            user, item, _ = model.final()
        table = _size([user, item])
        step = int(SAVED * _saved(Trainer(model, data, config.train, Evaluator(config.evaluate, data), 0)))
        step += TABLES * table
    work = max(step, 2 * config.evaluate.block_size * num_items * 4) + WEIGHTS * weights
    preparation = PREPARED * max([4 * data["item"][m].numel() for m in data.modalities], default=0)
    closed_form = _closed_form(model, data)
    parts = {
        "libraries": LIBRARIES,
        "data": _size(value for store in data.stores for value in store.values() if torch.is_tensor(value)),
        "graphs and frozen features": fixed,
        "weights, gradients, Adam": WEIGHTS * weights,
        "training step or evaluation": work - WEIGHTS * weights,
    }
    preparation = max(preparation if _reads_features(model, data) else 0, closed_form)
    if preparation > fixed + work:
        parts["more, while the model is built"] = preparation - fixed - work
    return parts | {"total": sum(parts.values())}


def _saved(trainer: Trainer) -> int:
    """Bytes that the forward pass of the first batch saves for its backward pass, beside the model's own."""
    own = {_address(tensor) for tensor in [*trainer.model.parameters(), *trainer.model.buffers()]}
    saved: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        if (address := _address(tensor)) not in own:
            saved[address] = tensor.untyped_storage().nbytes()
        return tensor

    trainer.model.start_epoch(trainer.generator)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        terms = loss_terms(trainer.model, next(trainer.batches()))
    del terms  # until here it holds what was saved, so that no address is used twice
    return sum(saved.values())


def _address(tensor: Tensor) -> int:
    return id(tensor) if isinstance(tensor, EdgeIndex) else tensor.untyped_storage().data_ptr()


def _size(tensors: Iterable[Tensor]) -> int:
    return sum(
        int(t.numel() * t.element_size() * (EDGE_INDEX if isinstance(t, EdgeIndex) else 1)) for t in tensors
    )


def _closed_form(model: Recommender, data: HeteroData) -> int:
    """Bytes at the peak of solving for item weights, where the model does: float64 [I, I], and X [U, I]."""
    num_users, num_items = int(data["user"].num_nodes), int(data["item"].num_nodes)
    solves = any(isinstance(module, History) for module in model.modules())
    solves |= any(tuple(buffer.shape) == (num_items, num_items) for buffer in model.buffers())
    return int(SQUARES * 8 * num_items**2 + 4 * num_users * num_items) if solves else 0


def _reads_features(model: Recommender, data: HeteroData) -> bool:
    """Whether a part of the model is named after a modality."""
    parts = {part for name, _ in model.named_modules() for part in name.split(".")}
    return not parts.isdisjoint(data.modalities)
