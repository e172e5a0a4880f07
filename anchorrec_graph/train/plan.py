"""What a shop of any size would need: memory and time by stage, from measured constants."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Annotated, NamedTuple

from pydantic import Field, PositiveInt, ValidationError

from anchorrec_graph.errors import ConfigError
from anchorrec_graph.graph.knn import ApproximateConfig
from anchorrec_graph.settings import Settings, unknown_name

GIB = 2**30
# Measured on 2 cores of an AMD EPYC, torch 2.13 for CPU, one thread; commands in benchmarks/README.md.
ROW_SECONDS, ROW_BYTES = 2.4e-6, 140.0  # prepare, by raw interaction: 10^7 rows in 24 s and 1.31 GiB
# faiss, inverted lists: 48 s of a core for 10^5 items x 1,152 columns, exponent 1.0 to 1.4
KNN_SECONDS, KNN_ITEMS, KNN_WIDTH, KNN_GROWTH = 5.3, 1e5, 128, 1.4
STEP_SECONDS, STEP_BATCH = 2.6, 2048  # one sampled step of AnchorRec, fan-out 10 and 5, 10^6 items
SCORE_SECONDS = 6e-9  # of a user-item score and its place in the ranking, 64 columns
FIXED_BYTES, ROW_STEP_BYTES = 1.4 * GIB, 500.0  # libraries and a step; a step by user and item
EDGE_BYTES = 24.0  # of an edge in a relation: both orders in int32, weight
TABLE_COPIES = 4  # weights, two moments, the best so far
FINAL_COPIES = 2.9  # of the tables while final embeddings are made, beside what a step takes
PARALLEL = 0.8  # of N processes' work that is gained


Size = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Shop(Settings):
    """The size of a shop and of what trains on it; every number may be written as 1e8."""

    items: Size
    users: Size
    interactions: Size
    machines: PositiveInt = 1
    cores: PositiveInt = 2  # of a machine
    memory_gib: Size = 24.0  # of a machine
    dim: PositiveInt = 64
    modalities: PositiveInt = 2  # beside the fused one
    feature_dim: PositiveInt = 320  # columns of a modality
    k: PositiveInt = 10
    users_evaluated: Size = 10_000.0


class Stage(NamedTuple):
    """One row of the plan."""

    name: str
    seconds: float  # of all machines working together
    memory_gib: float  # of each process that does it
    engine: str


def read_shop(pairs: Iterable[str]) -> Shop:
    """A shop from `key=value` words.

    Raises:
        ConfigError: a word is no such pair, or names or values are wrong.
    """
    values: dict[str, str] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals:
            raise ConfigError(f"--plan '{pair}': expected key=value, for example items=1e6")
        if key not in Shop.model_fields:
            raise ConfigError("--plan: " + unknown_name("key", key, list(Shop.model_fields)))
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

    Seconds of a stage are its work on one core over the cores that share it:

    - prepare: interactions x `ROW_SECONDS`, one process;
    - item graphs: by modality :math:`5.3 (n / 10^5)^{1.4} \cdot` columns / 128 on all cores of one machine;
    - epoch: interactions / 2048 steps of `STEP_SECONDS`; smaller shops take less, .8 s at 10^5 items;
    - evaluation: users x items x `SCORE_SECONDS`.

    Memory is that of one process, of as many on a machine as fit. Several share the tables and their moments
    (`train.shard_tables`); each has the graphs and features (`model.features_on_disk`), and whole tables
    while it evaluates.
    """
    exact = shop.items <= ApproximateConfig().above
    local = next((n for n in range(shop.cores, 0, -1) if n * _evaluation(shop, n) <= shop.memory_gib), 1)
    processes, evaluation = local * shop.machines, _evaluation(shop, local)
    training = evaluation - _whole_bytes(shop, processes) / GIB
    shared = processes if processes == 1 else PARALLEL * processes
    epoch, scores = (
        shop.interactions / STEP_BATCH * STEP_SECONDS,
        shop.users_evaluated * shop.items * shop.dim / 64,
    )
    return [
        Stage("prepare", shop.interactions * ROW_SECONDS, shop.interactions * ROW_BYTES / GIB,
              "anchorrec prepare (polars), one process"),
        Stage("item graphs", _knn_seconds(shop) / shop.cores, _knn_bytes(shop) / GIB,
              "exact, blockwise" if exact else "faiss (extra ann), one machine"),
        Stage("epoch", epoch / shared, training, _engine(local, shop.machines)),
        Stage("evaluation", scores * SCORE_SECONDS / shared, evaluation, _engine(local, shop.machines)),
    ]  # fmt: skip


def verdict(shop: Shop, stages: Iterable[Stage]) -> str:
    """One line: what fits, or the first stage that does not and what it would take."""
    for stage in stages:
        if stage.memory_gib > shop.memory_gib:
            return (
                f"{stage.name} needs {stage.memory_gib:.0f} GiB in one process and a machine has "
                f"{shop.memory_gib:.0f}: take larger machines; features, graphs and evaluation cut over "
                "machines are not part of this package"
            )
    return "fits"


def _widths(shop: Shop) -> list[int]:
    return [shop.feature_dim] * shop.modalities + [shop.feature_dim * shop.modalities]  # the last is fused


def _knn_seconds(shop: Shop) -> float:
    growth = math.pow(shop.items / KNN_ITEMS, KNN_GROWTH)
    return sum(KNN_SECONDS * growth * width / KNN_WIDTH for width in _widths(shop))


def _knn_bytes(shop: Shop) -> float:
    """Native and fused features, an index, reduced features, edges."""
    *native, fused = _widths(shop)
    rows = 4 * sum(native) + 2 * fused + 2 * fused + _reduced_bytes(shop)
    return FIXED_BYTES + shop.items * (rows + EDGE_BYTES * shop.k * len(_widths(shop)))


def _graph_bytes(shop: Shop) -> float:
    edges = 3 * shop.interactions + (shop.modalities + 1) * shop.k * shop.items
    return EDGE_BYTES * edges


def _evaluation(shop: Shop, local: int) -> float:
    """GiB of a process that trains and evaluates, `local` of which share a machine."""
    processes = local * shop.machines
    tables = TABLE_COPIES * _table_bytes(shop) / processes
    fixed = FIXED_BYTES + ROW_STEP_BYTES * (shop.users + shop.items)
    fixed += tables + _feature_bytes(shop) + _graph_bytes(shop)
    return (fixed + _whole_bytes(shop, processes)) / GIB


def _table_bytes(shop: Shop) -> float:
    return 4 * shop.dim * (shop.users + shop.items)


def _feature_bytes(shop: Shop) -> float:
    """Native features, reduced ones, and these added up over neighbours."""
    return shop.items * (4 * sum(_widths(shop)[:-1]) + 2 * _reduced_bytes(shop))


def _reduced_bytes(shop: Shop) -> int:
    """Of an item, in float16."""
    return 2 * 256 * (shop.modalities + 1)


def _whole_bytes(shop: Shop, processes: int) -> float:
    """What evaluation adds: final rows of all, made view by view, and tables that were cut put together."""
    return (FINAL_COPIES + (processes > 1)) * _table_bytes(shop)


def _engine(local: int, machines: int) -> str:
    if local * machines == 1:
        return "train.mode=sampled, one process"
    where = "" if machines == 1 else f" on each of {machines} machines"
    many = f"{local} {'process' if local == 1 else 'processes'}{where}"
    return f"train.mode=sampled, train.shard_tables, torchrun, {many}"
