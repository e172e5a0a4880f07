"""The files that a prepared folder is made from, and by what they are known again."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from anchorrec_graph.data.manifest import file_hash
from anchorrec_graph.errors import DataError
from anchorrec_graph.prepare.sources.base import Source


class Input(NamedTuple):
    """A source file as it was before it was read."""

    kind: str  # "interactions", "items" or "features <modality>"
    path: Path
    bytes: int
    changed: int  # time of the last change, ns
    sha256: str


def take_inputs(source: Source) -> list[Input]:
    """Every file of a source with the hash of its content, in the order in which they are read.

    Raises:
        DataError: a file is missing or cannot be read, or there is none.
    """
    kinds = [
        *(("interactions", path) for path in source.interaction_files()),
        *(("items", path) for path in source.item_files()),
        *((f"features {modality}", path) for modality, path in source.feature_files().items()),
    ]
    if not any(kind == "interactions" for kind, _ in kinds):
        raise DataError(f"{source.name}: no file of interactions; name at least one")
    return [_input(kind, path) for kind, path in kinds]


def check_unchanged(inputs: list[Input]) -> None:
    """What was read is what was hashed.

    Raises:
        DataError: a file has changed since `take_inputs`.
    """
    for file in inputs:
        try:
            status = file.path.stat()
        except OSError as error:
            raise DataError(f"{file.path}: has gone while it was read; run again") from error
        if (status.st_size, status.st_mtime_ns) != (file.bytes, file.changed):
            raise DataError(f"{file.path}: was changed while it was read; run again when it is whole")


def _input(kind: str, path: Path) -> Input:
    try:
        status = path.stat()
        return Input(kind, path, status.st_size, status.st_mtime_ns, file_hash(path))
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file; check the paths given to prepare") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
