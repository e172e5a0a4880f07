"""Run folders: what a training leaves on disk, and how it is read back.

<run>/config.yaml  environment.json  manifest.json  summary.json
<run>/seed-<s>/history.jsonl  checkpoint.safetensors  best.safetensors  metrics.json  per_user.parquet
<run>/seed-<s>/epochs/<epoch>.safetensors  with train.snapshot_every
<run>/seed-<s>/checkpoint-<epoch>/  with train.shard_tables, instead of checkpoint.safetensors
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from anchorrec_graph.config import Config, load_config
from anchorrec_graph.errors import ConfigError, RunError
from anchorrec_graph.files import locked, remove_leftovers, replacing, save_json
from anchorrec_graph.train.environment import environment
from anchorrec_graph.train.seed import SeedFolder, read_object

LOCK = ".lock"


class RunInUse(RunError):
    """Another process is training in the folder."""


class RunFolder:
    """The folder of a run: one configuration, one data set, one or more seeds."""

    def __init__(self, path: Path, config: Config, data_hash: str) -> None:
        self.path, self.config, self.data_hash = path, config, data_hash

    @classmethod
    def create(cls, path: Path | None, config: Config, manifest: dict[str, Any]) -> RunFolder:
        """Make a new folder (default `runs/<model>-<dataset>-<time>`).

        A run there that never came as far as a checkpoint is replaced.

        Raises:
            RunError: it holds a run that has come as far as a checkpoint, or other files.
        """
        path = _new(Path("runs"), config) if path is None else path
        path.mkdir(parents=True, exist_ok=True)
        run = cls(path, config, str(manifest["hash"]))
        _check_new(path)
        with run.locked():
            _check_new(path)  # another process may have been faster
            save_json(path / "manifest.json", manifest)
            save_json(path / "environment.json", environment())
            with replacing(path / "config.yaml") as temporary:  # last: it marks the folder as a run
                temporary.write_text(config.to_yaml(), encoding="utf-8")
        return run

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Open an existing folder.

        Raises:
            RunError: it holds no run, its files are damaged, or this version does not know its settings.
        """
        if not (path / "config.yaml").exists():
            raise RunError(f"{path}: no run here (config.yaml is missing)")
        manifest = path / "manifest.json"
        data_hash = read_object(manifest).get("hash")
        if not isinstance(data_hash, str):
            raise RunError(f"{manifest}: damaged (no hash); restore it or train again")
        try:
            return cls(path, load_config(path / "config.yaml"), data_hash)
        except ConfigError as error:
            raise RunError(
                f"{error}; if that is a class of yours, import its module (anchorrec --import MODULE), "
                "else the run is damaged or of another version: train again"
            ) from error

    @cached_property
    def here(self) -> dict[str, Any]:
        """The environment of this process, asked once: later the checkout may be another than runs here."""
        return environment()

    def note_environment(self, seed: int, epoch: int) -> None:
        """Say in `environment.json` where a seed goes on after an epoch, if that is not where it was so far.

        The file says where the run began; what differs from that, or from the last entry, but for the
        command, is added to its list `resumed`.

        Raises:
            RunError: the file is missing or damaged.
        """
        path = self.path / "environment.json"
        began = read_object(path)
        resumed = began.get("resumed", [])
        last = {**began, **(resumed[-1] if resumed else {})}
        if any(last.get(name) != value for name, value in self.here.items() if name != "command"):
            entry = {"seed": seed, "epoch": epoch, **self.here}
            save_json(path, {**began, "resumed": [*resumed, entry]})

    def note(self, facts: dict[str, Any]) -> None:
        """Keep what is known once a model is built in `manifest.json`, beside the facts of the data.

        Raises:
            RunError: the file is missing or damaged.
        """
        path = self.path / "manifest.json"
        kept = read_object(path)
        if {**kept, **facts} != kept:
            save_json(path, {**kept, **facts})

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from training here, and clear away what a killed one left half written.

        Raises:
            RunInUse: another process is training here.
        """
        with ExitStack() as stack:
            try:
                stack.enter_context(locked(self.path / LOCK))
            except BlockingIOError as error:
                raise RunInUse(f"{self.path}: another process is training in this folder") from error
            if (self.path / "config.yaml").exists():
                remove_leftovers(self.path)
            yield

    @staticmethod
    def in_use(path: Path) -> bool:
        """Whether another process is training in the folder `path`, which may not be there yet."""
        try:
            with locked(path / LOCK):
                return False
        except BlockingIOError:
            return True
        except FileNotFoundError:
            return False

    def check_data(self, manifest: dict[str, Any]) -> None:
        """Refuse data that differ from those of the run.

        Raises:
            RunError: naming the hashes.
        """
        if manifest["hash"] != self.data_hash:
            raise RunError(
                f"{self.path}: made from data {self.data_hash[:12]}, but the data set is now "
                f"{str(manifest['hash'])[:12]}; restore the data or train again"
            )

    def check_seed(self, seed: int) -> None:
        """Refuse a seed that the run does not have.

        Raises:
            RunError: naming those that it has.
        """
        seeds = self.config.train.seeds
        if seed not in seeds:
            raise RunError(f"{self.path}: has no seed {seed}; it has {', '.join(map(str, seeds))}")

    def seed(self, seed: int) -> SeedFolder:
        title = f"{self.config.model.name} on {self.config.dataset.name}, seed {seed}"
        return SeedFolder(self.path / f"seed-{seed}", title, f"{self.config.hash}|{self.data_hash}|{seed}")


def _check_new(path: Path) -> None:
    """Refuse a folder that holds more than a run without a checkpoint, which has nothing to lose."""
    ours = ["manifest.json", "environment.json", LOCK, ".*.tmp"]  # of a run that was killed while it was made
    if (path / "config.yaml").exists() and (path / "manifest.json").exists():
        if [
            *path.glob("seed-*/*.safetensors"),
            *path.glob("seed-*/checkpoint-*"),
            *path.glob("seed-*/metrics.json"),
        ]:
            raise RunError(f"{path} already holds a run; continue it with --resume, or name another folder")
        ours += ["config.yaml", "seed-*"]
    foreign = [entry.name for entry in path.iterdir() if not any(entry.match(name) for name in ours)]
    if foreign:
        raise RunError(f"{path} already holds other files ({min(foreign)}); name a new folder")


def _new(parent: Path, config: Config) -> Path:
    """Make `parent/<model>-<dataset>-<time>`, with a number behind it if another process has that."""
    base = f"{config.model.name}-{config.dataset.name}-{time.strftime('%Y%m%d-%H%M%S')}"
    path, number = parent / base, 1
    while True:
        try:
            path.mkdir(parents=True)
            return path
        except FileExistsError:
            number += 1
            path = parent / f"{base}-{number}"
