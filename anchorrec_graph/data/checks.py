"""Checks of raw data and splits: errors that name file, row and fix; warnings for what is harmless."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anchorrec_graph.data.raw import TEST, TRAIN, RawData
from anchorrec_graph.errors import DataError

RESERVED = ("num_nodes", "ids", "table")  # attributes of the item nodes that a modality would overwrite
BLOCK = 8192  # feature rows read at a time, so that a memory map stays on disk


class DataWarning(UserWarning):
    """The data has rows that are legal but that nothing can be learnt from or about."""


def check_raw_data(raw: RawData) -> None:
    """Check interactions, ids and features. Rows in messages are data rows, counted from 1.

    Raises:
        DataError: no interactions; columns of unequal length; ids out of range; a repeated
            (user, item) pair; a repeated source id; features that are not [I, d_m], not floating
            or not finite; a modality name that cannot be used.

    Warns:
        DataWarning: feature rows that are all zero.
    """
    _check_interactions(raw)
    for kind, ids in (("user", raw.user_ids), ("item", raw.items.get_column("item_id").to_numpy())):
        values, count = np.unique(ids.astype(str), return_counts=True)
        if (count > 1).any():
            raise DataError(
                f"{_file(raw, 'items' if kind == 'item' else 'interactions')}: the {kind} id "
                f"'{values[count > 1][0]}' occurs {count.max()} times; ids must be unique"
            )
    for modality, rows in raw.features.items():
        zero = _check_features(raw, modality, rows)
        _warn(_file(raw, modality), zero, "item", f"with an all-zero '{modality}' row: no content to compare")


def check_split(raw: RawData, label: NDArray[np.int64]) -> None:
    """Check the split labels [n] of checked data.

    Raises:
        DataError: labels of the wrong count or outside 0..2; nothing to train on; a pair that is both
            in train and held out.

    Warns:
        DataWarning: users, or held-out items, without a training row.
    """
    name, (user, item) = _file(raw, "interactions"), raw.interactions[:2]
    if len(label) != len(user):
        raise DataError(f"{name}: {len(label)} split labels for {len(user)} interactions; give one per row")
    wrong = np.flatnonzero((label < TRAIN) | (label > TEST))
    if len(wrong):
        raise DataError(
            f"{name}: row {wrong[0] + 1}: split label {label[wrong[0]]} is not 0 (train), 1 (validation) "
            f"or 2 (test){_more(wrong)}; correct the labels or leave them out to use dataset.split"
        )
    train = label == TRAIN
    if not train.any():
        raise DataError(f"{name}: no interaction is labelled train (0); label some or change dataset.split")
    key = user * len(raw.items) + item
    order = np.argsort(key, kind="stable")
    leaked = (key[order[1:]] == key[order[:-1]]) & (train[order[1:]] != train[order[:-1]])
    if leaked.any():
        pair = order[np.argmax(leaked) :][:2]
        held, twin = sorted(pair, key=lambda row: bool(train[row]))
        raise DataError(
            f"{name}: row {held + 1}: user {user[held]} with item {item[held]} is held out, but row "
            f"{twin + 1} trains on the same pair; keep one of them"
        )
    has_train = np.bincount(user[train], minlength=len(raw.user_ids)) > 0
    _warn(name, np.flatnonzero(~has_train), "user", "without a training row: their embeddings stay untrained")
    in_train = np.bincount(item[train], minlength=len(raw.items)) > 0
    unseen = np.unique(item[~train & ~in_train[item]])
    _warn(name, unseen, "held-out item", "without a training row: only their features can rank them")


def _check_interactions(raw: RawData) -> None:
    name, columns = _file(raw, "interactions"), raw.interactions
    n = len(columns.user)
    for column, values in columns._asdict().items():
        if values is not None and len(values) != n:
            raise DataError(f"{name}: {len(values)} values of '{column}' for {n} of 'user'; give one per row")
    if n == 0:
        raise DataError(f"{name}: no interactions; the file needs at least one data row")
    for kind, ids, size in (
        ("user", columns.user, len(raw.user_ids)),
        ("item", columns.item, len(raw.items)),
    ):
        wrong = np.flatnonzero((ids < 0) | (ids >= size))
        if len(wrong):
            raise DataError(
                f"{name}: row {wrong[0] + 1}: {kind} {ids[wrong[0]]} is outside 0..{size - 1}{_more(wrong)}; "
                f"there are {size} {kind}s: remove the row or add the {kind}"
            )
    key = columns.user * len(raw.items) + columns.item
    order = np.argsort(key, kind="stable")
    repeated = np.sort(order[1:][key[order[1:]] == key[order[:-1]]])
    if len(repeated):
        row = repeated[0]
        raise DataError(
            f"{name}: row {row + 1}: user {columns.user[row]} with item {columns.item[row]} is already in "
            f"row {np.flatnonzero(key == key[row])[0] + 1}{_more(repeated)}; keep one row per pair"
        )


def _check_features(raw: RawData, modality: str, rows: NDArray[Any]) -> NDArray[np.int64]:
    """Check one feature matrix [I, d]; returns the numbers of its all-zero rows."""
    name = _file(raw, modality)
    if modality in RESERVED or "." in modality or not modality:
        raise DataError(
            f"{name}: '{modality}' cannot name a modality (empty, with a dot, or one of "
            f"{', '.join(RESERVED)}); name it otherwise"
        )
    if rows.ndim != 2 or not np.issubdtype(rows.dtype, np.floating):
        raise DataError(
            f"{name}: features must be floating numbers of shape [items, dim], got {rows.dtype} "
            f"{list(rows.shape)}; save one row per item"
        )
    if len(rows) != len(raw.items):
        raise DataError(
            f"{name}: {len(rows)} feature rows for {len(raw.items)} items; give each item one row"
        )
    zero = [np.empty(0, dtype=np.int64)]
    for start in range(0, len(rows), BLOCK):
        block = np.asarray(rows[start : start + BLOCK])
        bad = np.flatnonzero(~np.isfinite(block).all(axis=1))
        if len(bad):
            raise DataError(
                f"{name}: row {start + bad[0] + 1} (item {start + bad[0]}) holds NaN or infinity; "
                "recompute it, or set it to zero if the item has no such content"
            )
        zero.append(start + np.flatnonzero(~block.any(axis=1)))
    return np.concatenate(zero)


def _warn(file: str, numbers: NDArray[np.int64], kind: str, what: str) -> None:
    if len(numbers):
        plural = "s" if len(numbers) > 1 else ""
        first = ", ".join(map(str, numbers[:3])) + (", ..." if len(numbers) > 3 else "")
        # level 4: the caller of DatasetConfig.load, above _warn, check_* and load
        warnings.warn(f"{file}: {len(numbers)} {kind}{plural} ({first}) {what}", DataWarning, stacklevel=4)


def _more(rows: NDArray[np.int64]) -> str:
    return f" (and {len(rows) - 1} more rows)" if len(rows) > 1 else ""


def _file(raw: RawData, key: str) -> str:
    return raw.files.get(key, key)
