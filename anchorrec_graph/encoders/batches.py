"""Batches of inputs become rows; an input that cannot be read gets a reason instead, and stops no other."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from anchorrec_graph.encoders.base import Encoder, Unreadable
from anchorrec_graph.errors import ConfigError

Batch = Sequence[tuple[bytes, Any]]  # hash of an input, and the text or the path of the file


class Encoded(NamedTuple):
    """What became of a batch."""

    size: int  # inputs
    pieces: list[tuple[Sequence[bytes], NDArray[Any]]]  # hashes of inputs and their rows
    failed: dict[bytes, str]  # why an input has no row


Encode = Callable[[Encoder, Sequence[Batch]], Generator[Encoded, None, None]]  # in any order


def encode_here(encoder: Encoder, batches: Sequence[Batch]) -> Generator[Encoded, None, None]:
    """By the loaded encoder of this process, each batch when it is asked for."""
    for batch in batches:
        yield encode_batch(encoder, batch)


def encode_batch(encoder: Encoder, batch: Batch) -> Encoded:
    """Read and encode. If the encoder finds one input unreadable, each is tried alone.

    Raises:
        ConfigError: the encoder returns no rows.
    """
    encoded = Encoded(len(batch), [], {})
    contents = []
    for value, source in batch:
        try:
            contents.append((value, encoder.read(source)))
        except Unreadable as error:
            encoded.failed[value] = str(error)
    _encode(encoder, contents, encoded)
    return encoded


def _encode(encoder: Encoder, contents: list[tuple[bytes, Any]], encoded: Encoded) -> None:
    if not contents:
        return
    hashes, values = zip(*contents, strict=True)
    try:
        rows = encoder.encode(values)
    except Unreadable as error:
        if len(contents) == 1:
            encoded.failed[hashes[0]] = str(error)
        else:
            for one in contents:
                _encode(encoder, [one], encoded)
        return
    if not isinstance(rows, np.ndarray) or rows.ndim != 2 or len(rows) != len(contents):
        shape = list(rows.shape) if isinstance(rows, np.ndarray) else type(rows).__name__
        raise ConfigError(
            f"encoder '{encoder.name}': returned {shape} for {len(contents)} inputs, not rows [n, d]"
        )
    encoded.pieces.append((hashes, rows))
