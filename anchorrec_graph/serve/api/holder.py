"""`Holder`: the models that are served, and the switch to newer ones while requests run."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from anchorrec_graph.serve.api.errors import ApiError
from anchorrec_graph.serve.api.logs import event
from anchorrec_graph.serve.api.metrics import Metrics
from anchorrec_graph.serve.api.model import Model
from anchorrec_graph.serve.api.settings import KEYS

WATCHED = ("export.json", "config.yaml", "manifest.json", "seed-*/best.safetensors", "seed-*/metrics.json")
AGAIN = 60.0  # seconds until what could not be loaded is tried again, unchanged as it is

Load = Callable[[str, Path], Model]  # key and folder -> model


class Stamp(NamedTuple):
    """What is in a served place: a link's target and the files that make a run or an export."""

    target: str
    files: tuple[tuple[str, int, int, int], ...]  # name, inode, time, size


def stamp_of(folder: Path) -> Stamp | None:
    """None: there is nothing."""
    target = Path(os.path.realpath(folder))
    files = []
    try:
        for path in sorted(path for pattern in WATCHED for path in target.glob(pattern)):
            found = path.stat()
            name = path.relative_to(target).as_posix()
            files.append((name, found.st_ino, found.st_mtime_ns, found.st_size))
    except OSError:  # a file went away in between
        return None
    return Stamp(str(target), tuple(files)) if files else None


class Slot:
    """One served place: the model in use, and what was last seen on disk."""

    def __init__(self, key: str, folder: Path, load: Load) -> None:
        self.key, self.folder = key, folder
        self.used = self.seen = stamp_of(folder)
        self.model = load(key, folder)
        self.failed: tuple[Stamp | None, str, float] | None = None  # what could not be loaded, why, when

    @property
    def problem(self) -> str | None:
        """The kind of error that keeps a newer model from being served."""
        return self.failed[1] if self.failed else None


class Holder:
    """Asks every served place about once a second what it holds.

    A change is loaded when it has been the same twice (writers of several files need a moment), in a thread,
    and takes over with one assignment: requests that run keep the model that they began with. What cannot be
    loaded is told in /health and in the log, and the old model goes on.

    Raises:
        AnchorRecError: a model cannot be loaded at the start.
    """

    def __init__(self, folders: tuple[Path, ...], load: Load, metrics: Metrics) -> None:
        self._load, self._metrics = load, metrics
        self.slots = {key: Slot(key, folder, load) for key, folder in zip(KEYS, folders, strict=False)}

    def model(self, key: str | None = None) -> Model:
        """
        Raises:
            ApiError: there is no second model.
        """
        slot = self.slots.get(key or KEYS[0])
        if slot is None:
            raise ApiError(422, "invalid", "this server compares no second model", "model")
        return slot.model

    @property
    def models(self) -> list[Model]:
        return [slot.model for slot in self.slots.values()]

    async def watch(self, seconds: float) -> None:
        """Look every few seconds until cancelled."""
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1, "anchorrec-load") as thread:
            while True:
                await asyncio.sleep(seconds)
                for slot in self.slots.values():
                    await loop.run_in_executor(thread, self.look, slot)

    def look(self, slot: Slot) -> None:
        """Compare a place with what is served of it, and switch if it has changed and come to rest."""
        found = stamp_of(slot.folder)
        rests, slot.seen = found == slot.seen, found
        if found == slot.used:
            slot.failed = None
        elif rests and not self._tried(slot, found):
            self._switch(slot, found)

    def _tried(self, slot: Slot, found: Stamp | None) -> bool:
        return bool(slot.failed and slot.failed[0] == found and time.monotonic() - slot.failed[2] < AGAIN)

    def _switch(self, slot: Slot, found: Stamp | None) -> None:
        started = time.perf_counter()
        try:
            model = self._load(slot.key, slot.folder)
        except Exception as error:  # whatever a damaged folder makes of the loader, the old model stays
            reason = "nothing there" if found is None else type(error).__name__
            slot.failed = (found, reason, time.monotonic())
            self._metrics.count("failed_switches")
            event(
                "switch failed", logging.ERROR, model=slot.key, error=type(error).__name__, message=str(error)
            )
            return
        slot.model, slot.used, slot.failed = model, found, None
        self._metrics.count("switches")
        seconds = round(time.perf_counter() - started, 3)
        event("switched", model=slot.key, catalog=model.catalog.name, seconds=seconds)
