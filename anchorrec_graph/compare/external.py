"""Results of other programs: exported embeddings or top-k lists, scored by the same evaluator."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from anchorrec_graph.compare.labels import split_label
from anchorrec_graph.compare.runs import Result
from anchorrec_graph.compare.task import Task
from anchorrec_graph.data.checks import DataWarning
from anchorrec_graph.data.table import whole_numbers
from anchorrec_graph.errors import ConfigError, DataError
from anchorrec_graph.evaluate.evaluator import Evaluator, RankingResult
from anchorrec_graph.evaluate.lists import align_lists
from anchorrec_graph.evaluate.user_items import positives
from anchorrec_graph.files import BAD_NPZ
from anchorrec_graph.typing import Embeddings

EMBEDDINGS, LISTS = {"user", "item"}, {"users", "items"}  # keys of an .npz file


def read_externals(arguments: Sequence[str]) -> dict[str, list[Path]]:
    """`LABEL=PATH` arguments as label -> files; several files of one label are its seeds.

    Raises:
        ConfigError: an argument has no label, or a file is named twice.
    """
    files: dict[str, list[Path]] = {}
    for argument in arguments:
        label, path = split_label(argument)
        if label is None:
            raise ConfigError(f"--external {argument}: expected LABEL=PATH")
        if path in files.setdefault(label, []):
            raise ConfigError(f"--external {argument}: is named twice")
        files[label].append(path)
    return files


def score_external(path: Path, task: Task) -> Result:
    """Test metrics of another program's result. Users and items are row numbers of the data set.

    `.npz` with `user` [U, d] and `item` [I, d]: embeddings, scored by their inner product.
    `.npz` with `users` [m] and `items` [m, K]: lists, best first, -1 for empty places.
    `.csv` or `.tsv` as MMRec's `save_recommended_topk` writes it: tab-separated, with the columns id, top_0,
    top_1, ... (ids are those of the .inter file).

    Items that the mask takes out of the ranking are dropped from lists and later ones move up, so lists
    longer than the largest K of the metrics should be given if their maker masked less.

    Raises:
        DataError: naming the file and key or row.
    """
    evaluator = Evaluator(task.evaluate, task.data)
    if path.suffix == ".npz":
        arrays = _read_npz(path)
        if set(arrays) >= EMBEDDINGS:
            result = evaluator.evaluate(_embeddings(arrays, path, task), "test")
        else:
            users, items = (
                _whole(arrays[key], key, ndim, path) for key, ndim in (("users", 1), ("items", 2))
            )
            result = _score_lists(users, items, path, evaluator, task)
    elif path.suffix in (".csv", ".tsv"):
        result = _score_lists(*_read_mmrec_lists(path), path, evaluator, task)
    else:
        raise DataError(f"{path}: unknown suffix '{path.suffix}'; known: .npz, .csv, .tsv")
    return Result(str(path), result.metrics, result.per_user, origin={"file": str(path)})


def _read_npz(path: Path) -> dict[str, NDArray[Any]]:
    if not path.is_file():
        raise DataError(f"{path}: no such file; check --external")
    try:
        file = np.load(path, allow_pickle=False)
    except BAD_NPZ as error:
        raise DataError(f"{path}: not an .npz file ({error}); write it with numpy.savez") from error
    if not isinstance(file, np.lib.npyio.NpzFile):
        raise DataError(f"{path}: not an .npz file; write it with numpy.savez")
    arrays = {}
    with file:
        if sum(kind <= set(file.files) for kind in (EMBEDDINGS, LISTS)) != 1:
            raise DataError(
                f"{path}: has the keys {', '.join(sorted(file.files)) or 'none'}; it needs user and item "
                "(embeddings), or users and items (lists)"
            )
        for key in (EMBEDDINGS | LISTS) & set(file.files):
            try:
                arrays[key] = file[key]
            except BAD_NPZ as error:
                raise DataError(f"{path}: '{key}' cannot be read ({error}); save plain numbers") from error
            if not isinstance(arrays[key], np.ndarray):  # numpy gives the bytes of any other member
                raise DataError(f"{path}: '{key}' is no array; write the file with numpy.savez")
    return arrays


def _embeddings(arrays: dict[str, NDArray[Any]], path: Path, task: Task) -> Embeddings:
    for key, count in (("user", task.pairs.users), ("item", task.pairs.items)):
        rows = arrays[key]
        if rows.ndim != 2 or not np.issubdtype(rows.dtype, np.floating) or len(rows) != count:
            raise DataError(
                f"{path}: '{key}' is {rows.dtype} {list(rows.shape)}; the data needs floating numbers "
                f"[{count}, d], one row per {key} in the order of the data set"
            )
        bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
        if len(bad):
            raise DataError(f"{path}: '{key}' row {bad[0]} is not finite; export a finite result")
    if arrays["user"].shape[1] != arrays["item"].shape[1]:
        raise DataError(
            f"{path}: 'user' has {arrays['user'].shape[1]} columns and 'item' {arrays['item'].shape[1]}; "
            "their inner product is the score, so they need equally many"
        )
    kind = np.float32 if arrays["user"].dtype.itemsize <= 4 else np.float64
    user, item = (torch.from_numpy(np.ascontiguousarray(arrays[key], kind)) for key in ("user", "item"))
    return Embeddings(user, item, {})


def _whole(array: NDArray[Any], key: str, ndim: int, path: Path) -> Tensor:
    if array.ndim != ndim or not np.issubdtype(array.dtype, np.integer):
        shape = "[m]" if ndim == 1 else "[m, K]"
        raise DataError(f"{path}: '{key}' is {array.dtype} {list(array.shape)}; whole numbers {shape} needed")
    return torch.from_numpy(np.ascontiguousarray(array, np.int64))


def _read_mmrec_lists(path: Path) -> tuple[Tensor, Tensor]:
    if not path.is_file():
        raise DataError(f"{path}: no such file; check --external")
    try:
        frame = pl.read_csv(path, separator="\t", infer_schema=False)
    except pl.exceptions.PolarsError as error:
        raise DataError(
            f"{path}: not a tab-separated table ({str(error).splitlines()[0]}); export it again"
        ) from error
    expected = ["id", *(f"top_{rank}" for rank in range(len(frame.columns) - 1))]
    if frame.columns != expected or len(expected) < 2:
        raise DataError(
            f"{path}: has the columns {', '.join(frame.columns[:4])}, ...; "
            "MMRec writes id, top_0, top_1, ..., separated by tabs"
        )
    columns = [torch.from_numpy(whole_numbers(frame, name, path).copy()) for name in expected]
    return columns[0], torch.stack(columns[1:], dim=1)


def _score_lists(users: Tensor, items: Tensor, path: Path, evaluator: Evaluator, task: Task) -> RankingResult:
    wanted, k = evaluator.users("test"), evaluator.max_k
    length = max(k, items.shape[1])
    try:
        lists = align_lists(users, items, wanted, length, task.pairs.users, task.pairs.items)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    masked = positives(task.data, *task.evaluate.mask).contains(wanted, lists)
    order = masked.sort(dim=1, stable=True).indices
    lists = lists.masked_fill(masked, -1).gather(1, order)
    short = int((masked.any(dim=1) & (lists[:, k - 1] < 0)).sum())
    if short:
        message = (
            f"{path}: without the items that evaluate.mask takes out, {short} lists hold fewer than {k} "
            "items; export longer lists"
        )
        warnings.warn(DataWarning(message), stacklevel=2)
    return evaluator.evaluate_top_k(wanted, lists, "test")
