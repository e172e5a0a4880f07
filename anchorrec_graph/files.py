"""Atomic writes: a file is either the old one or the whole new one, never half of it."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import time
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from anchorrec_graph.errors import RunError

# What numpy raises for an .npz file that cannot be read or is damaged.
BAD_NPZ = (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile, zlib.error)

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success rename it to `path`, once the disk has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path)
    try:
        yield temporary
        flush_file(temporary)
        os.replace(temporary, path)
        flush_names(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _temporary(path: Path) -> Path:
    """A name beside `path` that no other process takes, also on another machine with the same files."""
    machine = re.sub(r"[^A-Za-z0-9-]+", "-", platform.node())
    return path.with_name(f".{path.name}.{machine}.{os.getpid()}.tmp")


def flush_file(path: Path) -> None:
    """Wait until the disk has a file. Open for writing: else Windows refuses."""
    with open(path, "r+b") as file:
        os.fsync(file.fileno())


def flush_names(folder: Path) -> None:
    """Wait until the disk has the names in a folder, where the system can tell (Windows cannot)."""
    with suppress(OSError):
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `folder`; on success rename it to `folder`, else delete it.

    Raises:
        RunError: the folder is there already.
    """
    if folder.exists():
        raise RunError(f"{folder}: is there already; name another folder, and switch a link to it")
    temporary = _temporary(folder)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Delete the temporary files and folders below `folder` of writers that were killed.

    Nobody may be writing there.

    They are those of `replacing` and of safetensors, which writes to `.tmp` and six letters first.
    """
    for pattern in (".*.tmp", ".tmp??????"):
        for temporary in list(folder.rglob(pattern)):
            if temporary.is_dir():
                shutil.rmtree(temporary, ignore_errors=True)
            else:
                temporary.unlink(missing_ok=True)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the file `path` for this process. The system frees it when the process ends, however it ends.

    Without effect on Windows and where the file system has no locks.

    Raises:
        BlockingIOError: another process holds it.
    """
    with open(path, "a", encoding="utf-8") as file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise
            except OSError:
                pass
        yield


@contextmanager
def waiting_for(lock: Path) -> Iterator[None]:
    """Hold a lock file, after other processes that hold it."""
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(locked(lock))
                break
            except BlockingIOError:
                time.sleep(0.02)
        yield


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file atomically. Each of several tensors that share memory is written in full."""
    seen: set[int] = set()
    apart = {}
    for name, tensor in tensors.items():
        storage = tensor.untyped_storage().data_ptr()
        copied = storage in seen
        apart[name] = tensor.clone(memory_format=torch.contiguous_format) if copied else tensor.contiguous()
        seen.add(storage)
    with replacing(path) as temporary:
        try:
            save_file(apart, temporary, dict(metadata))
        except SafetensorError as error:
            raise OSError(f"{path}: cannot be written ({error})") from error


def save_json(path: Path, value: Any) -> None:
    """Write a JSON file atomically (2-space indent, no NaN: JSON has none)."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n", encoding="utf-8")
