"""Encode what items have: nothing twice, nothing lost on a kill, and each row by the hash of its input."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from anchorrec_graph.data.manifest import file_hash
from anchorrec_graph.encoders.base import Encoder
from anchorrec_graph.encoders.batches import Batch, Encode, encode_here
from anchorrec_graph.encoders.journal import Journal
from anchorrec_graph.encoders.rows import as_stored
from anchorrec_graph.encoders.sources import Sources
from anchorrec_graph.encoders.store import (
    DType,
    Inputs,
    Paths,
    Policy,
    open_stored,
    paths,
    refuse_missing,
    save,
)
from anchorrec_graph.errors import ConfigError, DataError
from anchorrec_graph.files import locked
from anchorrec_graph.train.environment import version

REFUSED = 3  # files named in one message
Report = Callable[[int, int], None]  # inputs done, inputs to do


def unseen(done: int, total: int) -> None:
    """The report of a call that nobody watches."""


class Kept(NamedTuple):
    """Rows of the modality as it stands that can be taken over."""

    row_of: dict[bytes, int]  # input hash -> row
    rows: NDArray[Any]


def encode_items(
    folder: Path,
    modality: str,
    items: pl.DataFrame,
    sources: Sources,
    encoder: Encoder,
    *,
    dtype: DType = "float16",
    batch_size: int = 64,
    policy: Policy = "mean",
    encode: Encode = encode_here,
    report: Report = unseen,
) -> dict[str, Any]:
    """Make a modality of a prepared folder; returns its sidecar with the counts `encoded` and `reused`.

    Equal inputs are encoded once. Rows whose input, encoder and package versions are those of the modality
    as it stands are taken over, and so are those of a call that was cut off, from its journal.

    Args:
        encode: how batches become rows, such as on a cluster.

    Raises:
        DataError: a file is refused, an input is missing and the policy is to refuse, all are missing, a
            row is not finite or does not fit the dtype, or another process makes the same modality.
        ConfigError: the encoder cannot be loaded or returns no rows.
    """
    place = paths(folder, modality)
    try:
        with locked(place.journal):
            for leftover in place.matrix.parent.glob(f".{modality}.*.tmp"):
                leftover.unlink(missing_ok=True)  # of a killed writer; the lock says that it is gone
            found = _make(place, items, sources, encoder, modality, dtype, batch_size, policy, encode, report)
            place.journal.unlink()
    except BlockingIOError as error:
        raise DataError(f"{place.journal}: another process is making '{modality}'; wait for it") from error
    except KeyboardInterrupt as stop:
        stop.add_note("the same command continues where it stopped")
        raise
    return found


def _make(
    place: Paths,
    items: pl.DataFrame,
    sources: Sources,
    encoder: Encoder,
    modality: str,
    dtype: DType,
    batch_size: int,
    policy: Policy,
    encode: Encode,
    report: Report,
) -> dict[str, Any]:
    """`encode_items` under its lock."""
    missing = dict(sources.missing)
    refuse_missing(items, missing, policy)
    inputs = scan(encoder, sources.values, missing)
    encoder.load()
    key = encoder_key(encoder)
    kept = _kept(place, key, dtype)
    journal = Journal(place.journal, key, np.dtype(dtype))
    pending = _pending(encoder, inputs, sources.values, {*kept.row_of, *journal.index})
    reused = len({value for value in inputs if value is not None}) - len(pending)
    failed = _fill(journal, encoder, pending, batch_size, encode, report)
    for row, value in enumerate(inputs):
        if value in failed:
            missing[row], inputs[row] = failed[value], None
    refuse_missing(items, missing, policy)
    settings = encoder.model_dump(mode="json")
    about = {"modality": modality, "encoder": settings, "key": key, "recipe": sources.recipe}
    found = _save(place, items, inputs, missing, kept, journal, dtype, policy, about)
    return {**found, "encoded": len(pending) - len(failed), "reused": reused}


def encoder_key(encoder: Encoder) -> dict[str, Any]:
    """What a row depends on besides its input. Call it after `load`."""
    return {
        "settings": encoder.model_dump(mode="json", exclude=set(encoder.neutral)),
        "identity": encoder.identity(),
        "versions": {package: version(package) for package in encoder.packages},
    }


def scan(encoder: Encoder, values: Sequence[Any], missing: dict[int, str]) -> Inputs:
    """Check every input before any is encoded, and hash it. Files that cannot be read join `missing`.

    Raises:
        DataError: naming the files that are refused.
    """
    refused: list[str] = []
    inputs: Inputs = [None] * len(values)
    for row, value in enumerate(values):
        if value is None:
            continue
        try:
            encoder.check(value)
            inputs[row] = input_hash(value)
        except DataError as error:
            refused.append(str(error))
        except OSError as error:
            missing[row] = f"cannot be read ({error.strerror})"
    if refused:
        more = f" (and {len(refused) - REFUSED} more files)" if len(refused) > REFUSED else ""
        raise DataError(" | ".join(refused[:REFUSED]) + more)
    return inputs


def input_hash(value: str | Path) -> bytes:
    """SHA-256 of a text or of a file's content."""
    if isinstance(value, str):
        return hashlib.sha256(value.encode()).digest()
    return bytes.fromhex(file_hash(value))


def _kept(place: Paths, key: dict[str, Any], dtype: DType) -> Kept:
    """Rows that the same encoder has made; none if there are no whole features."""
    try:
        stored = open_stored(place)
    except DataError:
        return Kept({}, np.empty((0, 0), dtype=dtype))
    if stored.sidecar.get("key") != key or stored.rows.dtype != np.dtype(dtype):
        return Kept({}, np.empty((0, 0), dtype=dtype))
    hashes = stored.table["input"]
    return Kept({bytes.fromhex(text): row for row, text in enumerate(hashes) if text}, stored.rows)


def _pending(
    encoder: Encoder, inputs: Inputs, values: Sequence[Any], known: set[bytes]
) -> list[tuple[bytes, Any]]:
    """Each input that has no row yet, once. Long texts first: like lengths together waste no padding."""
    first = {value: source for value, source in zip(inputs, values, strict=True) if value not in known}
    pending = [(value, source) for value, source in first.items() if value is not None]
    return sorted(pending, key=lambda pair: -len(pair[1])) if encoder.kind == "text" else pending


def _fill(
    journal: Journal, encoder: Encoder, pending: Batch, batch_size: int, encode: Encode, report: Report
) -> dict[bytes, str]:
    """Encode into the journal; returns the reason for every input that turned out to be unreadable."""
    failed: dict[bytes, str] = {}
    sources, done = dict(pending), 0
    report(done, len(pending))
    batches = [pending[start : start + batch_size] for start in range(0, len(pending), batch_size)]
    with closing(encode(encoder, batches)) as results:
        for size, pieces, unreadable in results:
            for hashes, rows in pieces:
                if journal.dim is not None and rows.shape[1] != journal.dim:
                    raise ConfigError(
                        f"encoder '{encoder.name}': returned {rows.shape[1]} columns, before it {journal.dim}"
                    )
                labels = [_label(sources[value]) for value in hashes]
                journal.append(hashes, as_stored(rows, journal.dtype, labels))
            failed |= unreadable
            done += size
            report(done, len(pending))
    return failed


def _label(source: str | Path) -> str:
    return f"{source}" if isinstance(source, Path) else f"text '{source[:40]}'"


def _save(
    place: Paths,
    items: pl.DataFrame,
    inputs: Inputs,
    missing: dict[int, str],
    kept: Kept,
    journal: Journal,
    dtype: DType,
    policy: Policy,
    about: dict[str, Any],
) -> dict[str, Any]:
    dim = journal.dim or kept.rows.shape[1]
    if journal.dim is not None and kept.row_of and kept.rows.shape[1] != dim:
        raise ConfigError(
            f"{place.matrix}: has {kept.rows.shape[1]} columns, the encoder now {dim}; remove it"
        )
    computed = journal.rows

    def gather(rows: NDArray[np.int64]) -> NDArray[Any]:
        block = np.empty((len(rows), dim), dtype=dtype)
        for place_in_block, row in enumerate(rows):
            value = inputs[row]
            assert value is not None
            record = journal.index.get(value)
            block[place_in_block] = kept.rows[kept.row_of[value]] if record is None else computed[record]
        return block

    return save(place, items, inputs, missing, (dim, dtype), gather, policy, about)
