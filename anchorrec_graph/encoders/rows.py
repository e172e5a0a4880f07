"""Feature rows in the dtype of the store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anchorrec_graph.errors import DataError


def as_stored(rows: NDArray[Any], dtype: np.dtype[Any], labels: Sequence[str]) -> NDArray[Any]:
    """Rows [n, d] in the dtype.

    Raises:
        DataError: a row is not numeric or not finite, or the dtype turns it into infinity or zero.
    """
    if not np.issubdtype(rows.dtype, np.number) or np.issubdtype(rows.dtype, np.complexfloating):
        raise DataError(f"{labels[0]}: the row is {rows.dtype}, not real numbers")
    bad = ~np.isfinite(rows).all(axis=1)
    if bad.any():
        raise DataError(
            f"{labels[int(bad.argmax())]}: the row holds NaN or infinity; correct or remove the input"
        )
    with np.errstate(over="ignore", under="ignore"):
        stored = rows.astype(dtype)
    lost = ~np.isfinite(stored).all(axis=1) | (rows.any(axis=1) & ~stored.any(axis=1))
    if lost.any():
        largest = float(np.abs(rows[int(lost.argmax())]).max())
        raise DataError(
            f"{labels[int(lost.argmax())]}: the row's largest number, {largest:.3g}, does not fit {dtype}; "
            "take --out-dtype float32 or scale the rows"
        )
    return stored
