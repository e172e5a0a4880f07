"""What a shop of any size would need, by stage, from measured constants; docs/scale.md has examples."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import numpy as np

from anchorrec_graph.graph import ivf
from anchorrec_graph.graph.approximate import SAMPLE, TRIAL, queries
from anchorrec_graph.graph.knn import BLOCK
from anchorrec_graph.graph.relation import INT32
from anchorrec_graph.train.shop import REDUCED, STEP_BATCH, Shop

GIB = 2**30
# Measured on 2 cores of an AMD EPYC, torch 2.13 for CPU, one thread; commands in benchmarks/README.md.
# Prepare, CSV, with both cores: 10^7 rows in 20 to 24 s and 1.3 GiB.
RAW_SECONDS, RAW_BYTES = 2.4e-6, 85.0  # of a raw interaction
# Exact graphs, of a pair of items: the k nearest, and a column. 70 s for 10^5 items x 128 columns.
PAIR_SECONDS, COLUMN_SECONDS = 4.7e-9, 1.76e-11
# Inverted lists, on an Intel Xeon with AVX-512: 42 s for 10^5 items x 1,152 columns, 661 s for 10^6.
FLOPS = 5e10  # a second, of products of rows with centres or with rows, and what is taken out of them
READ_SECONDS = 2.3e-7  # of an item and a column while the nearest lists are read
FEATURE_SECONDS = 6e-8  # of an item and a column in what is kept of features, made by the first process
# A sampled step of AnchorRec with fan-out 10 and 5, by items: seconds, and GiB beside what is held.
STEP_ITEMS, STEP_SECONDS, STEP_GIB = (1e4, 1e5, 1e6), (0.16, 0.46, 1.43), (0.3, 0.8, 1.1)
# A step over whole graphs, below `FULL_ITEMS`: alone, of an item, of an edge travelled there and back. From
# 1,000 to 9,000 items on a busy machine, divided by how much longer sampled steps took there (2.2).
FULL_ITEMS, FULL_SECONDS, FULL_ITEM_SECONDS, FULL_EDGE_SECONDS = 1e4, 0.04, 6e-6, 5e-8
FULL_GIB, FULL_COPIES = 0.04, 10  # it holds: alone, and copies of the tables
NODE_SECONDS = 1e-8  # of a user or item for each batch: masks of the sampler; 2.1 s at 10^8 and 10^8
PARALLEL = 0.7  # of N processes' work that is gained; .70 to .79, measured with two only
SCORE_SECONDS, RANKED = 3.6e-9, 256  # of a score and its place in the ranking; users ranked at once
LEAST_RECALL = 0.8  # of approximate graphs; lists find .835 for the fused features of the planted shop
HOPS, FAN_OUT, EDGE_SECONDS = 2, "[10,5]", 9e-8  # of the backbone; an edge travelled, both with 64 columns
LIBRARIES = 0.45 * GIB
EDGE_BYTES, WIDE_EDGE_BYTES = 24.0, 48.0  # in a relation: both orders and the weight; int32, int64
PAIR_BYTES = 68.0  # edge index 16, time 8, negatives 8, order 8, input ids 8, evaluator 16, column 4
NODE_BYTES = 200.0  # of a user or item: ids, titles, row pointers, masks
TABLE_COPIES, FINAL_COPIES = 4, 1.9  # weights, moments, the best so far; while final embeddings are made
BLOCK_COPIES = 3  # of a block of cosines in float32, while the k nearest are taken out of it
FEW_STEPS = 100  # of an epoch


class Team(NamedTuple):
    """Processes that make graphs, train and evaluate together, each with one thread."""

    local: int  # on each machine
    machines: int
    mode: Literal["full", "sampled"] = "sampled"

    @property
    def size(self) -> int:
        return self.local * self.machines

    @property
    def engine(self) -> str:
        where = "" if self.machines == 1 else f" on each of {self.machines} machines"
        start = "" if self.size == 1 else "torchrun, "
        return f"train.mode={self.mode}, {start}{_processes(self.local)}{where}"


class Stage(NamedTuple):
    """One row of the plan."""

    name: str
    seconds: float  # of all machines working together
    memory_gib: float  # of each process that does it
    engine: str


class Plan(NamedTuple):
    """What a shop takes, and how it would be trained."""

    stages: list[Stage]
    settings: list[str]  # that the numbers assume beside those of configs/anchorrec/planted.yaml, for -o
    steps: int  # of the optimiser in an epoch
    warning: str | None  # there are few of them, because processes share them


def plan(shop: Shop) -> Plan:
    r"""Prepare, item graphs, an epoch, an evaluation: what each takes, and what runs it.

    With P = .8 interactions training pairs, B = ceil(P / 2048) batches, n items, u users, c columns of all
    features with the fused one, k neighbours, E edges travelled, and N processes (as many as fit, at most
    B), seconds are

    - prepare: interactions x `RAW_SECONDS`, one process;
    - item graphs: of up to 50,000 items :math:`n^2` (`PAIR_SECONDS` x graphs + `COLUMN_SECONDS` c) times
      `_largest_part`, of more c `_ivf_seconds`; and n c `FEATURE_SECONDS`, by one process;
    - epoch: B (`STEP_SECONDS` + (u + n) `NODE_SECONDS`) / G(N), with G(1) = 1 and G(N) = `PARALLEL` N; or
      by one process, where this is less and n below `FULL_ITEMS`, B steps over whole graphs;
    - evaluation: E `EDGE_SECONDS`, by each process, and users evaluated x n x `SCORE_SECONDS` / G(blocks of
      256 users, or N if there are fewer), both x dim / 64.

    Memory is that of one process; none of it is cut over processes but the tables and their moments
    (`train.shard_tables`). Pages of memory maps count for each, though those of a machine share them.
    """
    team = _team(shop)
    search = "exact, blockwise" if shop.exact else "faiss inverted lists (extra ann)"
    epoch = shop.batches * _step_seconds(shop, team.mode) / _gained(team.size)
    stages = [
        Stage("prepare", shop.interactions * RAW_SECONDS, (LIBRARIES + shop.interactions * RAW_BYTES) / GIB,
              "anchorrec prepare (polars), one process"),
        Stage("item graphs", _knn_seconds(shop, team.size), _knn_bytes(shop) / GIB,
              f"{search}, {_processes(team.size)}"),
        Stage("epoch", epoch, _training_bytes(shop, team) / GIB, team.engine),
        Stage("evaluation", _evaluation_seconds(shop, team.size), _evaluation_bytes(shop, team) / GIB,
              team.engine),
    ]  # fmt: skip
    steps = math.ceil(shop.batches / team.size)
    return Plan(stages, _settings(shop, team), steps, _warning(shop, team, steps))


def _settings(shop: Shop, team: Team) -> list[str]:
    sampled = [f"train.num_neighbors={FAN_OUT}"] if team.mode == "sampled" else []
    lists = ["model.knn.approximate.method=ivf", f"model.knn.approximate.least_recall={LEAST_RECALL}"]
    return [
        f"train.mode={team.mode}", *sampled, f"train.batch_size={STEP_BATCH}",
        f"train.batches_per_step={team.size}", f"train.shard_tables={str(team.size > 1).lower()}",
        f"model.embedding_dim={shop.dim}", "model.loss=softmax", "model.history.weight=0",
        "model.features_on_disk=true", f"model.feature_dim={REDUCED}", f"model.knn.k={shop.k}",
        *([] if shop.exact else lists),
        f"model.backbone.num_layers={HOPS}", "model.num_knn_layers=1",
        f"evaluate.max_users={math.ceil(shop.users_evaluated)}",
    ]  # fmt: skip


def _warning(shop: Shop, team: Team, steps: int) -> str | None:
    if team.size == 1 or steps >= FEW_STEPS:
        return None
    few = max(1, shop.batches // FEW_STEPS)
    return (
        f"few steps: an epoch has {shop.batches} batches, of which {team.size} processes leave {steps} steps "
        f"of the optimiser, so more epochs are needed; with {_processes(few)} (train.batches_per_step={few}) "
        f"there are {math.ceil(shop.batches / few)}"
    )


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
    """As many processes as cores and memory allow, and no more than an epoch has batches.

    Where whole graphs are travelled there is one: others would travel the same ones.
    """
    if shop.items < FULL_ITEMS and _step_seconds(shop, "full") <= _step_seconds(shop, "sampled"):
        return Team(1, 1, "full")
    machines = min(shop.machines, shop.batches)

    def needed(local: int) -> float:
        return local * max(_knn_bytes(shop), _evaluation_bytes(shop, Team(local, machines))) / GIB

    counts = range(1, min(shop.cores, shop.batches // machines) + 1)
    return Team(max(1, bisect_right(counts, shop.memory_gib, key=needed)), machines)


def _processes(count: int) -> str:
    return "one process" if count == 1 else f"{count} processes"


def _gained(processes: int) -> float:
    return 1.0 if processes == 1 else PARALLEL * processes


def _knn_seconds(shop: Shop, processes: int) -> float:
    columns = shop.native + shop.fused
    if shop.exact:
        pair = PAIR_SECONDS * (shop.modalities + 1) + COLUMN_SECONDS * columns
        search = shop.items**2 * pair * _largest_part(math.ceil(shop.items / BLOCK), processes)
    else:
        parts = math.ceil(shop.items / queries(int(shop.items), shop.fused))
        search = columns * _ivf_seconds(shop.items, parts / math.ceil(parts / processes))
    return search + shop.items * columns * FEATURE_SECONDS


def _largest_part(blocks: int, processes: int) -> float:
    r"""What the first process does of an exact search: it has every N-th block, from the first on.

    A block holds cosines with itself and all later ones, so of B blocks b is :math:`2 (B - b) / (B (B + 1))`
    of the work, and however many processes there are the first block is left.
    """
    own = math.ceil(blocks / processes)
    return (2 * own * blocks - processes * own * (own - 1)) / (blocks * (blocks + 1))


def _ivf_seconds(items: float, gained: float) -> float:
    r"""Of a column: what each process does alone in one thread, and its part of what all share.

    With l = n / 500 lists and t = min(n, 64 l) rows trained, products of 2 flops at `FLOPS` a second:
    :math:`8 t l + n l + 1200 n` alone (k-means, add, exact neighbours of samples), and shared
    :math:`n l` (the nearest lists) beside n `READ_SECONDS`.
    """
    lists = max(1.0, items / ivf.LIST_SIZE)
    trained = min(items, lists * ivf.TRAINING)
    alone = ivf.ITERATIONS * trained * lists + items * lists + (SAMPLE + TRIAL) * items
    return 2 * alone / FLOPS + (2 * items * lists / FLOPS + items * READ_SECONDS) / gained


def _evaluation_seconds(shop: Shop, processes: int) -> float:
    users = min(shop.users_evaluated, shop.users)
    blocks = min(processes, math.ceil(users / RANKED))
    seconds = _edges(shop) * EDGE_SECONDS + users * shop.items * SCORE_SECONDS / _gained(blocks)
    return seconds * shop.dim / 64


def _edges(shop: Shop) -> float:
    """Travelled for the final rows of all users and items."""
    return 2 * HOPS * shop.pairs + (shop.modalities + 1) * (shop.pairs + shop.k * shop.items)


def _step_seconds(shop: Shop, mode: str) -> float:
    if mode == "full":
        return FULL_SECONDS + FULL_ITEM_SECONDS * shop.items + FULL_EDGE_SECONDS * _edges(shop)
    return _of_step(shop, STEP_SECONDS) + NODE_SECONDS * shop.nodes


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
    """Also native features in float32; fused and reduced ones, and the widest in an index, in float16.

    Where the search is exact, its block of cosines too.
    """
    columns = 2 * shop.native + shop.fused + shop.reduced + max(shop.feature_dim, shop.fused)
    block = 4 * BLOCK_COPIES * min(BLOCK, shop.items) if shop.exact else 0
    return _held_bytes(shop) + (2 * columns + block) * shop.items


def _training_bytes(shop: Shop, team: Team) -> float:
    """Also native features in float32; reduced ones, and these added up over neighbours, in float16."""
    features = 4 * (shop.native + shop.reduced) * shop.items
    tables = TABLE_COPIES * _table_bytes(shop) / team.size
    step = _of_step(shop, STEP_GIB) * GIB
    if team.mode == "full":
        step = FULL_GIB * GIB + FULL_COPIES * _table_bytes(shop)
    return _held_bytes(shop) + features + tables + step


def _evaluation_bytes(shop: Shop, team: Team) -> float:
    """Also final rows of all, made view by view, and tables that were cut put together."""
    return _training_bytes(shop, team) + (FINAL_COPIES + (team.size > 1)) * _table_bytes(shop)


def _table_bytes(shop: Shop) -> float:
    return 4 * shop.dim * shop.nodes
