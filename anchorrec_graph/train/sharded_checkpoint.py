"""Checkpoints of cut tables, by torch.distributed.checkpoint: every process writes its own rows.

The files are safetensors, so that nothing is unpickled; any number of processes reads them back.
"""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader, HuggingFaceStorageWriter
from torch.distributed.checkpoint.metadata import Metadata, TensorStorageMetadata
from torch.distributed.checkpoint.planner import SavePlan, SavePlanner
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save
from torch.distributed.checkpoint.storage import WriteResult
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.tensor import DTensor, Shard
from torch.futures import Future

from anchorrec_graph.errors import RunError
from anchorrec_graph.files import flush_file, flush_names, save_json
from anchorrec_graph.nn.sharded_table import ShardedTable
from anchorrec_graph.train.checkpoint import Progress, below, training_state
from anchorrec_graph.train.optimizer import AdamOfModel
from anchorrec_graph.train.ranks import LostRank, Ranks, exchange
from anchorrec_graph.train.seed import sharded_checkpoints
from anchorrec_graph.train.sharding import Sharding

PROGRESS = "progress.json"
MOMENTS = ("exp_avg", "exp_avg_sq")
DAMAGES = (
    OSError, ValueError, KeyError, IndexError, TypeError, RuntimeError, AssertionError, SafetensorError
)  # fmt: skip


def save_sharded(
    path: Path,
    sharding: Sharding,
    optimizer: AdamOfModel,
    generator: torch.Generator,
    progress: Progress,
    key: str,
) -> None:
    """Write what `train.checkpoint.save_checkpoint` does as a folder; all ranks call this.

    It appears whole, or not at all; older checkpoints beside it are deleted when all of it is on the disk.
    """
    ranks, temporary = sharding.ranks, path.with_name(f".{path.name}.tmp")
    if ranks.first(path.exists):
        return
    if ranks.is_first:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
    ranks.wait()
    state: dict[str, Any] = dict(training_state(sharding.model, optimizer, generator))
    if not ranks.is_first:
        del state["random/global"]  # the first rank's is kept; the others' come from the seed
    mesh = _mesh(ranks)
    if mesh is not None:
        state |= {
            n: _as_dtensor(state[n], t, mesh) for n, t in _owners(sharding, optimizer).items() if n in state
        }
    with _with_all_ranks():
        save(state, storage_writer=_Writer(str(temporary), save_distributed=True), no_dist=mesh is None)
    if ranks.is_first:
        files = {file.name: file.stat().st_size for file in sorted(temporary.iterdir())}
        save_json(temporary / PROGRESS, {"progress": json.dumps(progress), "key": key, "files": files})
        flush_names(temporary)
        os.replace(temporary, path)
        flush_names(path.parent)
        for other in sharded_checkpoints(path.parent):
            if other != path:
                shutil.rmtree(other)
    ranks.wait()


def load_sharded(
    path: Path, sharding: Sharding, optimizer: AdamOfModel, generator: torch.Generator, key: str
) -> Progress:
    """Put everything that `save_sharded` wrote back in place; all ranks call this.

    Raises:
        RunError: the folder is damaged, or belongs to other settings, data or seed.
        LostRank: another process ended meanwhile, which says nothing about the folder.
    """
    try:
        facts = json.loads((path / PROGRESS).read_text(encoding="utf-8"))
        if facts["key"] != key:
            raise RunError(f"{path}: belongs to other settings, data or seed; start a new run folder")
        for name, size in facts["files"].items():
            if (path / name).stat().st_size != size:
                raise ValueError(f"{name} is cut short")
        reader, mesh = HuggingFaceStorageReader(str(path)), _mesh(sharding.ranks)
        state = _room(reader.read_metadata(), _owners(sharding, optimizer), mesh)
        with _with_all_ranks():
            load(state, storage_reader=reader, no_dist=mesh is None)
        own = {name: x.to_local() if isinstance(x, DTensor) else x for name, x in state.items()}
        sharding.model.load_state_dict(below(own, "model/"))
        optimizer.load(below(own, "optimizer/"))
        generator.set_state(own["random/epoch"])
        torch.set_rng_state(own["random/global"])
        return Progress(*json.loads(facts["progress"]))
    except DAMAGES as error:
        reason = str(error).partition("\n")[0]
        raise RunError(f"{path}: cannot be read ({reason}); delete it, and this seed starts anew") from error


def _mesh(ranks: Ranks) -> DeviceMesh | None:
    if ranks.size == 1:
        return None
    with exchange():
        return init_device_mesh("cpu", (ranks.size,))


def _owners(sharding: Sharding, optimizer: AdamOfModel) -> dict[str, ShardedTable]:
    """By name in `training_state`: the table whose rows a tensor's rows belong to."""
    owners = {f"model/{name}.weight": table for name, table in sharding.tables.items()}
    for table in sharding.tables.values():
        place = next(i for i, p in enumerate(optimizer.parameters) if p is table.weight)
        owners |= {f"optimizer/{place}/{name}": table for name in MOMENTS}
    return owners


def _room(found: Metadata, owners: dict[str, ShardedTable], mesh: DeviceMesh | None) -> dict[str, Any]:
    """Room for this rank's part of every tensor of a checkpoint."""
    room: dict[str, Any] = {}
    for name, facts in found.state_dict_metadata.items():
        if not isinstance(facts, TensorStorageMetadata):
            raise ValueError(f"'{name}' is no tensor")
        size, dtype = facts.size, facts.properties.dtype
        if mesh is None or name not in owners:
            room[name] = torch.empty(size, dtype=dtype)
        else:
            own = torch.empty(len(owners[name].weight), *size[1:], dtype=dtype)
            room[name] = _as_dtensor(own, owners[name], mesh)
    return room


def _as_dtensor(own: Tensor, table: ShardedTable, mesh: DeviceMesh) -> DTensor:
    shape = torch.Size((table.num_embeddings, *own.shape[1:]))
    stride = torch.empty(shape, device="meta").stride()
    return DTensor.from_local(own.contiguous(), mesh, [Shard(0)], shape=shape, stride=stride)


class _Writer(HuggingFaceStorageWriter):
    """Its own fsync comes before the last of a buffer is written, which for a small file is all of it."""

    def write_data(self, plan: SavePlan, planner: SavePlanner) -> Future[list[WriteResult]]:
        written = super().write_data(plan, planner)
        for name in {result.storage_data.relative_path for result in written.value()}:
            flush_file(Path(self.path) / name)
        return written


@contextmanager
def _with_all_ranks() -> Iterator[None]:
    """Raise what a rank raised: torch hands it wrapped to all of them, even the end of the job from outside.

    Only a RuntimeError that is not wrapped is one of the exchange.
    """
    try:
        with exchange(), warnings.catch_warnings():
            # That one process saves or loads alone is what was asked for.
            warnings.filterwarnings("ignore", message="torch.distributed is disabled")
            yield
    except CheckpointException as error:
        failures = [failure for failure, _ in error.failures.values()]
        ends = [failure for failure in failures if isinstance(failure, LostRank | KeyboardInterrupt)]
        raise (ends + failures)[0] from error
