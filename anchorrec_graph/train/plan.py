"""What a shop of any size would need, by stage, from measured constants; docs/scale.md has examples."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import Field, ValidationError
from pydantic_core import PydanticUndefined

from anchorrec_graph.errors import ConfigError
from anchorrec_graph.graph import ivf
from anchorrec_graph.graph.approximate import SAMPLE, TRIAL
from anchorrec_graph.graph.knn import ApproximateConfig
from anchorrec_graph.graph.relation import INT32
from anchorrec_graph.settings import Settings, unknown_name

GIB = 2**30
# Measured on 2 cores of an AMD EPYC, torch 2.13 for CPU, one thread; commands in benchmarks/README.md.
# Prepare, CSV, with both cores: 10^7 rows in 20 to 24 s and 1.3 GiB.
RAW_SECONDS, RAW_BYTES = 2.4e-6, 85.0  # of a raw interaction
# Exact graphs, of a pair of items: the k nearest, and a column. 70 s for 10^5 items x 128 columns.
PAIR_SECONDS, COLUMN_SECONDS = 4.7e-9, 1.76e-11
# Inverted lists: 48 s for 10^5 items x 1,152 columns, 1,206 s for 10^6; two processes 1.5 times.
FLOPS = 2e10  # a second, of products of rows with centres or with rows
READ_SECONDS = 1.8e-7  # of an item and a column while the nearest lists are read
FEATURE_SECONDS = 6e-8  # of an item and a column in what is kept of features, made by the first process
STEP_BATCH, TRAINING = 2048, 0.8  # pairs of a batch; share of interactions that train
# A sampled step of AnchorRec with fan-out 10 and 5, by items: seconds, and GiB beside what is held.
STEP_ITEMS, STEP_SECONDS, STEP_GIB = (1e4, 1e5, 1e6), (0.16, 0.46, 1.43), (0.3, 0.8, 1.1)
NODE_SECONDS = 1e-8  # of a user or item for each batch: masks of the sampler; 2.1 s at 10^8 and 10^8
PARALLEL = 0.7  # of N processes' work that is gained; .70 to .79, measured with two only
SCORE_SECONDS, BLOCK = 3.6e-9, 256  # of a score and its place in the ranking; users ranked at once
HOPS, EDGE_SECONDS = 2, 9e-8  # of the backbone; an edge travelled, both with 64 columns
LIBRARIES = 0.45 * GIB
EDGE_BYTES, WIDE_EDGE_BYTES = 24.0, 48.0  # in a relation: both orders and the weight; int32, int64
PAIR_BYTES = 68.0  # edge index 16, time 8, negatives 8, order 8, input ids 8, evaluator 16, column 4
NODE_BYTES = 200.0  # of a user or item: ids, titles, row pointers, masks
TABLE_COPIES, FINAL_COPIES = 4, 1.9  # weights, moments, the best so far; while final embeddings are made
REDUCED = 256  # columns that a modality is reduced to

Size = Annotated[float, Field(gt=0, le=1e15, allow_inf_nan=False)]
Count = Annotated[int, Field(gt=0, le=1_000_000)]


class Shop(Settings):
    """The size of a shop and of what trains on it; every number may be written as 1e8."""

    items: Size
    users: Size
    interactions: Size
    machines: Count = 1
    cores: Count = 2  # of a machine
    memory_gib: Size = 24.0  # of a machine
    dim: Count = 64
    modalities: Count = 2  # beside the fused one
    feature_dim: Count = 320  # columns of a modality
    k: Count = 10
    users_evaluated: Size = 10_000.0

    @property
    def pairs(self) -> float:
        """Those that train."""
        return TRAINING * self.interactions

    @property
    def batches(self) -> int:
        """Of an epoch."""
        return math.ceil(self.pairs / STEP_BATCH)

    @property
    def nodes(self) -> float:
        return self.users + self.items

    @property
    def native(self) -> int:
        """Columns of all modalities but the fused one."""
        return self.modalities * self.feature_dim

    @property
    def fused(self) -> int:
        """Columns of the fused feature: every modality is reduced first."""
        return self.modalities * min(REDUCED, self.feature_dim)

    @property
    def reduced(self) -> int:
        """Columns of all features as the model reads them."""
        return self.fused + min(REDUCED, self.fused)


class Team(NamedTuple):
    """Processes that make graphs, train and evaluate together, each with one thread."""

    local: int  # on each machine
    machines: int

    @property
    def size(self) -> int:
        return self.local * self.machines

    @property
    def engine(self) -> str:
        if self.size == 1:
            return "train.mode=sampled, one process"
        where = "" if self.machines == 1 else f" on each of {self.machines} machines"
        settings = f"train.mode=sampled train.shard_tables=true train.batches_per_step={self.size}"
        return f"{settings}, torchrun, {_processes(self.local)}{where}"


class Stage(NamedTuple):
    """One row of the plan."""

    name: str
    seconds: float  # of all machines working together
    memory_gib: float  # of each process that does it
    engine: str


def keys() -> str:
    """The keys of a shop with their defaults, N where there is none."""
    fields = Shop.model_fields.items()
    defaults = {key: "N" if f.default is PydanticUndefined else f"{f.default:g}" for key, f in fields}
    return " ".join(f"{key}={default}" for key, default in defaults.items())


def read_shop(pairs: Iterable[str]) -> Shop:
    """A shop from `key=value` words.

    Raises:
        ConfigError: a word is no such pair, or repeats a key, or names or values are wrong.
    """
    values: dict[str, str] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals:
            raise ConfigError(f"--plan '{pair}': expected key=value, for example items=1e6")
        if key not in Shop.model_fields:
            raise ConfigError("--plan: " + unknown_name("key", key, list(Shop.model_fields)))
        if key in values:
            raise ConfigError(f"--plan: {key} is given twice, as {values[key]} and {text}")
        values[key] = text
    try:
        return Shop.model_validate({key: _number(text) for key, text in values.items()})
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in problem["loc"])
        message = "is missing" if problem["type"] == "missing" else f"{problem['msg']}, got {values[key]}"
        raise ConfigError(f"--plan: {key}: {message}") from error


def _number(text: str) -> float | int | str:
    try:
        value = float(text)
    except ValueError:
        return text
    return int(value) if value.is_integer() else value


def plan(shop: Shop) -> list[Stage]:
    r"""Prepare, item graphs, an epoch, an evaluation: what each takes, and what runs it.

    With P = .8 interactions training pairs, B = ceil(P / 2048) batches, n items, u users, c columns of all
    features with the fused one, k neighbours, and N processes (as many as fit, at most B), seconds are

    - prepare: interactions x `RAW_SECONDS`, one process;
    - item graphs: of up to 50,000 items :math:`n^2` (`PAIR_SECONDS` x graphs + `COLUMN_SECONDS` c) / N, of
      more c `_ivf_seconds`; and n c `FEATURE_SECONDS`, by one process;
    - epoch: B (`STEP_SECONDS` + (u + n) `NODE_SECONDS`) / G(N), with G(1) = 1 and G(N) = `PARALLEL` N;
    - evaluation: `EDGE_SECONDS` of every edge travelled, by each process, and users evaluated x n x
      `SCORE_SECONDS` / G(blocks of 256 users, or N if there are fewer), both x dim / 64.

    Memory is that of one process; none of it is cut over processes but the tables and their moments
    (`train.shard_tables`). Pages of memory maps count for each, though those of a machine share them.
    """
    team, exact = _team(shop), shop.items <= ApproximateConfig().above
    search = "exact, blockwise" if exact else "faiss inverted lists (extra ann)"
    epoch = shop.batches * (_of_step(shop, STEP_SECONDS) + NODE_SECONDS * shop.nodes) / _gained(team.size)
    return [
        Stage("prepare", shop.interactions * RAW_SECONDS, (LIBRARIES + shop.interactions * RAW_BYTES) / GIB,
              "anchorrec prepare (polars), one process"),
        Stage("item graphs", _knn_seconds(shop, team.size, exact), _knn_bytes(shop) / GIB,
              f"{search}, {_processes(team.size)}"),
        Stage("epoch", epoch, _training_bytes(shop, team) / GIB, team.engine),
        Stage("evaluation", _evaluation_seconds(shop, team.size), _evaluation_bytes(shop, team) / GIB,
              team.engine),
    ]  # fmt: skip


def verdict(shop: Shop, stages: Iterable[Stage]) -> str:
    """One line: that all fits; or which stages do not, in GiB to one decimal, and what they would take."""
    room = round(shop.memory_gib, 1)
    large = [stage for stage in stages if round(stage.memory_gib, 1) > room]
    if not large:
        return "fits"
    needs = ", ".join(f"{stage.name} {stage.memory_gib:.1f} GiB" for stage in large)
    return (
        f"does not fit: in one process {needs}; a machine has {room:.1f} GiB. Take larger machines: of all "
        "this only the embedding tables of an epoch are cut over machines"
    )


def _team(shop: Shop) -> Team:
    """As many processes as cores and memory allow, and no more than an epoch has batches."""
    machines = min(shop.machines, shop.batches)

    def needed(local: int) -> float:
        return local * max(_knn_bytes(shop), _evaluation_bytes(shop, Team(local, machines))) / GIB

    counts = range(1, min(shop.cores, shop.batches // machines) + 1)
    return Team(max(1, bisect_right(counts, shop.memory_gib, key=needed)), machines)


def _processes(count: int) -> str:
    return "one process" if count == 1 else f"{count} processes"


def _gained(processes: int) -> float:
    return 1.0 if processes == 1 else PARALLEL * processes


def _knn_seconds(shop: Shop, processes: int, exact: bool) -> float:
    columns = shop.native + shop.fused
    if exact:
        pair = PAIR_SECONDS * (shop.modalities + 1) + COLUMN_SECONDS * columns
        search = shop.items**2 * pair / processes
    else:
        search = columns * _ivf_seconds(shop.items, processes)
    return search + shop.items * columns * FEATURE_SECONDS


def _ivf_seconds(items: float, processes: int) -> float:
    r"""Of a column: what each process does alone in one thread, and its part of what all share.

    With l = n / 500 lists and t = min(n, 64 l) rows trained, products of 2 flops at `FLOPS` a second:
    :math:`8 t l + n l + 1200 n` alone (k-means, add, exact neighbours of samples), and shared
    :math:`n l` (the nearest lists) beside n `READ_SECONDS`.
    """
    lists = max(1.0, items / ivf.LIST_SIZE)
    trained = min(items, lists * ivf.TRAINING)
    alone = ivf.ITERATIONS * trained * lists + items * lists + (SAMPLE + TRIAL) * items
    return 2 * alone / FLOPS + (2 * items * lists / FLOPS + items * READ_SECONDS) / processes


def _evaluation_seconds(shop: Shop, processes: int) -> float:
    users = min(shop.users_evaluated, shop.users)
    edges = 2 * HOPS * shop.pairs + (shop.modalities + 1) * (shop.pairs + shop.k * shop.items)
    blocks = min(processes, math.ceil(users / BLOCK))
    seconds = edges * EDGE_SECONDS + users * shop.items * SCORE_SECONDS / _gained(blocks)
    return seconds * shop.dim / 64


def _of_step(shop: Shop, measured: Sequence[float]) -> float:
    """What a step takes, between the sizes at which it was measured linear in the logarithm of the items.

    Constant beyond them: up there a batch draws at most 10 and 5 neighbours a node, so what it reaches is
    bounded; down there it reaches the whole shop.
    """
    return float(np.interp(math.log(shop.items), np.log(STEP_ITEMS), measured))


def _held_bytes(shop: Shop) -> float:
    """Libraries, users and items, pairs, and graphs."""
    edges = _edge_bytes(2 * shop.pairs, shop.nodes) + _edge_bytes(shop.pairs, max(shop.users, shop.items))
    edges += (shop.modalities + 1) * _edge_bytes(shop.k * shop.items, shop.items)
    return LIBRARIES + NODE_BYTES * shop.nodes + PAIR_BYTES * shop.pairs + edges


def _edge_bytes(edges: float, nodes: float) -> float:
    return edges * (EDGE_BYTES if max(edges, nodes) <= INT32 else WIDE_EDGE_BYTES)


def _knn_bytes(shop: Shop) -> float:
    """Also native features in float32; fused and reduced ones, and the widest in an index, in float16."""
    columns = 2 * shop.native + shop.fused + shop.reduced + max(shop.feature_dim, shop.fused)
    return _held_bytes(shop) + 2 * columns * shop.items


def _training_bytes(shop: Shop, team: Team) -> float:
    """Also native features in float32; reduced ones, and these added up over neighbours, in float16."""
    features = 4 * (shop.native + shop.reduced) * shop.items
    tables = TABLE_COPIES * _table_bytes(shop) / team.size
    return _held_bytes(shop) + features + tables + _of_step(shop, STEP_GIB) * GIB


def _evaluation_bytes(shop: Shop, team: Team) -> float:
    """Also final rows of all, made view by view, and tables that were cut put together."""
    return _training_bytes(shop, team) + (FINAL_COPIES + (team.size > 1)) * _table_bytes(shop)


def _table_bytes(shop: Shop) -> float:
    return 4 * shop.dim * shop.nodes
