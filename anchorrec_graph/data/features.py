"""Feature matrices: one `.npy` per modality, read as a memory map and never unpickled."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib import format as npy
from numpy.typing import NDArray
from torch import Tensor

from anchorrec_graph.data.checks import DataWarning
from anchorrec_graph.errors import DataError


def open_features(path: Path) -> NDArray[np.floating[Any]]:
    """The rows [I, d] of a `.npy` file as a memory map.

    It is copy-on-write: torch can share it without a copy, and no write reaches the file.

    Raises:
        DataError: the file is missing, truncated, not a `.npy`, pickled, or not a floating matrix.
    """
    shape, dtype = _header(path)
    if dtype.hasobject:
        raise DataError(
            f"{path}: holds pickled Python objects, which are never loaded; "
            "save a float array with numpy.save(path, array.astype('float32'))"
        )
    if len(shape) != 2 or not np.issubdtype(dtype, np.floating):
        raise DataError(
            f"{path}: features must be floating numbers of shape [items, dim], got {dtype} {list(shape)}; "
            "save one row per item"
        )
    try:
        rows: NDArray[np.floating[Any]] = np.load(path, mmap_mode="c", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path}: {path.stat().st_size} bytes are too few for {shape[0]} rows of {shape[1]} {dtype} "
            f"({error}); the file is truncated, copy it again"
        ) from error
    return rows


def widened(rows: Tensor) -> Tensor:
    """Rows of half floats as float32; others as they are."""
    return rows.to(torch.promote_types(rows.dtype, torch.float32))


def find_features(folder: Path) -> dict[str, str]:
    """Modality -> file name of every floating matrix among a folder's `.npy` files.

    The modality is the file's stem without a final `_feat`. Arrays of objects, such as MMRec's pickled
    `user_graph_dict.npy`, are passed over, other arrays with a warning.

    Raises:
        DataError: a file is not a `.npy`, or two files name one modality.
    """
    found: dict[str, str] = {}
    for path in sorted(folder.glob("*.npy")):
        shape, dtype = _header(path)
        if dtype.hasobject:
            continue
        if len(shape) != 2 or not np.issubdtype(dtype, np.floating):
            warnings.warn(
                DataWarning(
                    f"{path}: {dtype} {list(shape)} is no matrix of floating numbers and is left out"
                ),
                stacklevel=2,
            )
            continue
        modality = path.stem.removesuffix("_feat")
        if modality in found:
            raise DataError(
                f"{path}: {found[modality]} also names '{modality}'; choose one with dataset.features"
            )
        found[modality] = path.name
    return found


def _header(path: Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and dtype from the header alone: an array of objects is recognised without unpickling."""
    try:
        with open(path, "rb") as file:
            read = npy.read_array_header_1_0 if npy.read_magic(file) == (1, 0) else npy.read_array_header_2_0
            shape, _, dtype = read(file)
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file; check dataset.features") from error
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: not a .npy file ({error}); write it with numpy.save") from error
    return shape, dtype
