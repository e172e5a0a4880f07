"""Source files as Parquet pieces, so that no file is read twice, not even after a crash.

The pieces of a file lie in a folder of their own. It counts once its `done.json` is there: it names
the rows and the malformed rows. The folder's name is a hash of the file's content and of every
setting that reading depends on, so what another file or setting left is never taken.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import polars as pl

from anchorrec_graph.data.manifest import json_hash
from anchorrec_graph.files import replacing, save_json
from anchorrec_graph.prepare.inputs import Input
from anchorrec_graph.prepare.pseudonyms import Pseudonyms
from anchorrec_graph.prepare.rejects import Reject, Rejects
from anchorrec_graph.prepare.sources.base import Source
from anchorrec_graph.train.environment import version

DONE = "done.json"
LONGEST = 200  # characters of an id: numpy gives every id the room of the longest
BAD_ID = f"an id is empty, longer than {LONGEST} characters, or holds NUL"
BAD_RATING = "the rating is no finite number"
BAD_LABEL = "the split label is not 0, 1 or 2"


class Pieces(NamedTuple):
    """What was read from one file."""

    input: Input
    files: tuple[Path, ...]  # Parquet, in row order
    rows: int  # without the malformed ones
    rejects: dict[str, int]  # reason -> rows
    samples: tuple[Reject, ...]
    reused: bool


def read_pieces(
    source: Source, file: Input, inputs: list[Input], folder: Path, pseudonyms: Pseudonyms | None
) -> Pieces:
    """Read a file of interactions or items, or take what an earlier run has read of it.

    Args:
        inputs: all files of the source. What its items are may depend on the others: `mmrec` counts them.

    Raises:
        DataError: the source cannot read the file.
    """
    settings = source.model_dump(mode="json", exclude={"files", "items"})
    key = pseudonyms.fingerprint if pseudonyms else None
    hashes = [file.sha256] if file.kind == "interactions" else [other.sha256 for other in inputs]
    made_from = [file.kind, str(file.path), hashes, settings, key, version("anchorrec_graph")]
    place = folder / f"{file.kind}-{json_hash(made_from)[:20]}"
    reused = (place / DONE).exists()
    if not reused:
        _read(source, file, place, pseudonyms)
    done = json.loads((place / DONE).read_text(encoding="utf-8"))
    files = tuple(place / f"{number:06d}.parquet" for number in range(done["pieces"]))
    samples = tuple(Reject(*sample) for sample in done["samples"])
    return Pieces(file, files, done["rows"], done["rejects"], samples, reused)


def _read(source: Source, file: Input, place: Path, pseudonyms: Pseudonyms | None) -> None:
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    rejects, rows, pieces = Rejects(), 0, 0
    for frame in _frames(source, file, rejects):
        if frame.is_empty():
            continue
        if pseudonyms is not None and file.kind == "interactions":
            frame = frame.with_columns(pseudonyms.replace(frame["user_id"]))
        with replacing(place / f"{pieces:06d}.parquet") as temporary:
            frame.write_parquet(temporary)
        rows, pieces = rows + len(frame), pieces + 1
    reasons: dict[str, int] = {}
    for (_, reason), count in rejects.counts.items():
        reasons[reason] = reasons.get(reason, 0) + count
    samples = [sample._replace(text="") if pseudonyms else sample for sample in rejects.samples]
    save_json(place / DONE, {"pieces": pieces, "rows": rows, "rejects": reasons, "samples": samples})


def _frames(source: Source, file: Input, rejects: Rejects) -> Iterator[pl.DataFrame]:
    """The source's frames without rows that nothing downstream could hold."""
    if file.kind == "items":
        for frame in source.read_items(file.path, rejects):
            yield _without(frame, file, rejects, {BAD_ID: _bad_id("item_id")})
    else:
        bad = {
            BAD_ID: _bad_id("user_id") | _bad_id("item_id"),
            BAD_RATING: ~pl.col("rating").cast(pl.Float32).is_finite(),
        }
        for frame in source.read_interactions(file.path, rejects):
            labels = {BAD_LABEL: ~pl.col("label").is_between(0, 2)} if "label" in frame.columns else {}
            yield _without(frame, file, rejects, {**bad, **labels})


def _bad_id(column: str) -> pl.Expr:
    ids = pl.col(column)
    length = ids.str.len_chars()
    return (length == 0) | (length > LONGEST) | ids.str.contains("\0", literal=True) | ids.is_null()


def _without(frame: pl.DataFrame, file: Input, rejects: Rejects, bad: dict[str, pl.Expr]) -> pl.DataFrame:
    for reason, condition in bad.items():
        is_bad = frame.select(condition.fill_null(False)).to_series()
        for row in frame.filter(is_bad).iter_rows() if is_bad.any() else ():
            rejects.add(file.path, 0, reason, str(row))
        frame = frame.filter(~is_bad)
    return frame
