"""`RawData`: what a data source delivers, before it is checked and split."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

TRAIN, VALIDATION, TEST = 0, 1, 2


class Interactions(NamedTuple):
    """n user-item pairs in the order of the source file. Ids are row numbers, 0-based."""

    user: NDArray[np.int64]  # [n]
    item: NDArray[np.int64]  # [n]
    rating: NDArray[np.float32] | None = None  # [n]
    time: NDArray[np.int64] | None = None  # [n], unix seconds or any increasing order


class RawData(NamedTuple):
    """What a source delivers: everything as read, nothing checked or split yet."""

    interactions: Interactions
    label: NDArray[np.int64] | None  # [n] 0 train, 1 validation, 2 test; None: not split yet
    features: Mapping[str, NDArray[np.floating[Any]]]  # modality -> [I, d_m]
    user_ids: NDArray[np.str_]  # [U] the ids of the source
    items: pl.DataFrame  # [I] first column `item_id` (str), then any of title, genres, ...
    files: Mapping[str, str]  # "interactions", "items" or a modality -> file name, for error messages
