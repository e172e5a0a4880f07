"""From source files to what a prepared folder will hold: read, clean, number, align, split."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from anchorrec_graph.data.raw import Interactions
from anchorrec_graph.errors import DataError
from anchorrec_graph.prepare.clean import Cleaned, Dropped, k_core, one_per_pair, threshold, with_metadata
from anchorrec_graph.prepare.codes import KINDS, Coded, encode, number_by_appearance
from anchorrec_graph.prepare.inputs import Input, check_unchanged
from anchorrec_graph.prepare.items import align_items, listed_items
from anchorrec_graph.prepare.layout import Content, write_rejects
from anchorrec_graph.prepare.pieces import Pieces, read_pieces
from anchorrec_graph.prepare.pseudonyms import Pseudonyms
from anchorrec_graph.prepare.settings import PrepareSettings
from anchorrec_graph.prepare.workspace import PIECES

Report = Callable[[str], None]
KEPT, REPLACED = "kept", "replaced"  # the split of the source


def make_content(
    settings: PrepareSettings,
    inputs: list[Input],
    pseudonyms: Pseudonyms | None,
    work: Path,
    report: Report,
    rejects: Path | None = None,
) -> Content:
    """Everything but the writing.

    Args:
        work: a folder where pieces of what was read are kept.
        rejects: where to leave samples of malformed rows if there are too many.

    Raises:
        DataError: a file is malformed, too many rows are, nothing is left, or the split is impossible.
    """
    read = _read(settings, inputs, pseudonyms, work, report)
    for kind in ("interactions", "items"):
        of_kind = [pieces for pieces in read if pieces.input.kind == kind]
        _check_rejects(of_kind, settings.max_reject_share, rejects)
    coded = encode(_files(read, "interactions"))
    source_split = _source_split(settings, coded)
    if source_split:
        report(f"the split of the source is {source_split}")
    report(f"cleaning {len(coded.rows)} interactions")
    rows, dropped = _clean(settings, coded, _files(read, "items"))
    numbers = {kind: number_by_appearance(rows[kind].to_numpy()) for kind in KINDS}
    ids = {kind: coded.ids[kind][by_number] for kind, (_, by_number) in numbers.items()}
    rows = rows.with_columns(pl.Series(kind, number) for kind, (number, _) in numbers.items())
    del coded, numbers
    aligned = align_items(ids["item"], _files(read, "items"), settings.keep_items)
    interactions, left_out = _known_columns(rows, ["label"] if source_split == KEPT else [])
    for column, without in left_out.items():
        report(f"{column}: left out, {without} of {len(rows)} rows have none")
    if settings.split is not None:
        label = settings.split.assign(_as_interactions(interactions))
        interactions = interactions.with_columns(label=pl.Series(label.astype(np.int8)))
    features = _features(inputs, read)
    users = ids["user"].to_frame("user_id")
    return Content(interactions, users, aligned, features, read, dropped, left_out, source_split)


def _read(
    settings: PrepareSettings, inputs: list[Input], pseudonyms: Pseudonyms | None, work: Path, report: Report
) -> list[Pieces]:
    read: list[Pieces] = []
    for file in inputs:
        if file.kind in ("interactions", "items"):
            pieces = read_pieces(settings.source, file, inputs, work / PIECES, pseudonyms)
            verb = "kept from an earlier run" if pieces.reused else "read"
            report(f"{file.path}: {pieces.rows} rows of {file.kind} {verb}")
            read.append(pieces)
    check_unchanged(inputs)
    return read


def _check_rejects(read: list[Pieces], share: float, path: Path | None) -> None:
    rejected = sum(sum(pieces.rejects.values()) for pieces in read)
    total = rejected + sum(pieces.rows for pieces in read)
    if rejected <= share * total:
        return
    count, reason, file = max(
        (count, reason, str(pieces.input.path)) for pieces in read for reason, count in pieces.rejects.items()
    )
    if path is not None:
        write_rejects(read, path)
    row = next((s.row for pieces in read for s in pieces.samples if (s.file, s.reason) == (file, reason)), 0)
    place, samples = f"row {row}: " if row else "", f" (samples: {path})" if path else ""
    raise DataError(
        f"{file}: {place}{reason}; {count} rows are like this, {rejected} of {total} are malformed, more "
        f"than max_reject_share {share:g} allows; correct the files{samples} or raise --max-reject-share"
    )


def _clean(settings: PrepareSettings, coded: Coded, item_pieces: list[Path]) -> Cleaned:
    rows, dropped = coded.rows, list[Dropped]()
    if rows.is_empty():
        raise DataError(
            "the files of interactions hold no well-formed row; check the source and its settings"
        )
    steps: list[Callable[[pl.DataFrame], Cleaned]] = []
    if settings.require_metadata:
        has = coded.ids["item"].is_in(listed_items(item_pieces).implode()).to_numpy()
        steps.append(lambda rows: with_metadata(rows, has))
    if settings.min_rating is not None:
        least = settings.min_rating
        steps.append(lambda rows: threshold(rows, least))
    steps.append(lambda rows: one_per_pair(rows, settings.duplicates, partial(_name, coded)))
    steps.append(lambda rows: k_core(rows, settings.user_core, settings.item_core))
    for step in steps:
        rows, gone = step(rows)
        dropped += gone
        if rows.is_empty():
            most = max(gone, key=lambda entry: entry.rows)
            raise DataError(
                f"no interaction is left after {most.step} ({most.rows} rows: {most.reason}); lower it"
            )
    return Cleaned(rows, dropped)


def _source_split(settings: PrepareSettings, coded: Coded) -> str | None:
    """What becomes of the source's own split; None if it has none."""
    rows = coded.rows
    without = rows["label"].null_count()
    if without == len(rows):
        return None
    if settings.split is not None:
        return REPLACED
    if without:
        user, item = rows.filter(pl.col("label").is_null())[0, list(KINDS)].row(0)
        raise DataError(
            f"{_name(coded, user, item)} has no split label, as {without} of {len(rows)} rows; label every "
            "row of every file or none, or set --split to split anew"
        )
    return KEPT


def _name(coded: Coded, user: int, item: int) -> str:
    return f"user '{coded.ids['user'][user]}' with item '{coded.ids['item'][item]}'"


def _known_columns(rows: pl.DataFrame, more: list[str]) -> tuple[pl.DataFrame, dict[str, int]]:
    """Rating where any row has one, timestamp where all have, `more`; and the columns only some rows have."""
    missing = rows["timestamp"].null_count()
    columns = [*KINDS]
    if rows["rating"].null_count() < len(rows):
        columns.append("rating")
    if missing == 0:
        columns.append("timestamp")
    left_out = {"timestamp": missing} if 0 < missing < len(rows) else {}
    return rows.select(*columns, *more).cast({"rating": pl.Float32} if "rating" in columns else {}), left_out


def _as_interactions(rows: pl.DataFrame) -> Interactions:
    user, item = (rows[kind].to_numpy().astype(np.int64) for kind in KINDS)
    time = rows["timestamp"].to_numpy() if "timestamp" in rows.columns else None
    return Interactions(user, item, time=time)


def _files(read: list[Pieces], kind: str) -> list[Path]:
    return [path for pieces in read if pieces.input.kind == kind for path in pieces.files]


def _features(inputs: list[Input], read: list[Pieces]) -> dict[str, Path]:
    """Modality -> matrix of the source, which needs every row of the item files."""
    found = {
        file.kind.removeprefix("features "): file.path for file in inputs if file.kind.startswith("features ")
    }
    for pieces in read if found else ():
        if pieces.input.kind == "items" and pieces.rejects:
            raise DataError(
                f"{pieces.input.path}: {sum(pieces.rejects.values())} malformed rows, so the feature rows "
                f"cannot be told apart ({next(iter(pieces.rejects))}); correct them"
            )
    for modality in found:
        if Path(modality).name != modality:
            raise DataError(f"{found[modality]}: '{modality}' cannot name a modality; name it otherwise")
    return found
