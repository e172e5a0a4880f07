"""`prepare`: a folder in the project's layout from source files, whole or not at all."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from anchorrec_graph.data.prepared import (
    INTERACTIONS,
    ITEMS,
    MANIFEST,
    REJECTS,
    USERS,
    check_folder,
    read_manifest,
)
from anchorrec_graph.errors import DataError
from anchorrec_graph.prepare.content import Report, make_content
from anchorrec_graph.prepare.inputs import check_unchanged, take_inputs
from anchorrec_graph.prepare.layout import manifest_of, origin_of, same_origin, write_folder
from anchorrec_graph.prepare.pseudonyms import Pseudonyms
from anchorrec_graph.prepare.settings import PrepareSettings
from anchorrec_graph.prepare.workspace import RESULT, publish, workspace


class Prepared(NamedTuple):
    """The manifest of a prepared folder, and whether this run made it."""

    manifest: dict[str, Any]
    made: bool


def prepare(
    settings: PrepareSettings, out: Path, overwrite: bool = False, report: Report = print
) -> Prepared:
    """Make the folder `out`, whole or not at all.

    After an error or a kill `<out>.partial` keeps what was read, and the same call goes on from there.
    If `out` was made from the same files with the same settings, nothing is done.

    Args:
        overwrite: replace a prepared folder, whatever it was made from.

    Raises:
        DataError: `out` holds something else, or the source cannot be prepared.
        ConfigError: the key file cannot be used.
    """
    pseudonyms = Pseudonyms.load(settings.pseudonymise) if settings.pseudonymise else None
    inputs = take_inputs(settings.source)
    origin = origin_of(settings, inputs, pseudonyms)
    with workspace(out) as partial:
        if _is_taken(out):
            if not all((out / name).is_file() for name in (INTERACTIONS, USERS, ITEMS, MANIFEST)):
                raise DataError(f"{out}: exists and is no prepared folder; give another --out")
            if not overwrite:
                return Prepared(_same_folder(out, origin), False)
        content = make_content(settings, inputs, pseudonyms, partial, report, partial / REJECTS)
        report(f"writing {len(content.interactions)} interactions")
        manifest = write_folder(content, origin, partial / RESULT)
        check_unchanged(inputs)
        publish(out, partial)
    return Prepared(manifest, True)


def survey(settings: PrepareSettings, report: Report = print) -> dict[str, Any]:
    """The manifest that `prepare` would write, without `files`. Pieces go to the system's temporary folder.

    Raises:
        DataError, ConfigError: as `prepare`.
    """
    pseudonyms = Pseudonyms.load(settings.pseudonymise) if settings.pseudonymise else None
    inputs = take_inputs(settings.source)
    with tempfile.TemporaryDirectory() as folder:
        content = make_content(settings, inputs, pseudonyms, Path(folder), report)
        return manifest_of(content, origin_of(settings, inputs, pseudonyms))


def _is_taken(out: Path) -> bool:
    return out.exists() and not (out.is_dir() and not any(out.iterdir()))


def _same_folder(out: Path, origin: dict[str, Any]) -> dict[str, Any]:
    """The manifest of the finished folder, if it is whole and was made from `origin`."""
    manifest = read_manifest(out)
    if not same_origin(manifest, origin):
        raise DataError(f"{out}: was made from other files or settings; give another --out, or --overwrite")
    check_folder(out)
    return manifest
