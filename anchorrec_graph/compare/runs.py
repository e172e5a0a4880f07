"""The runs of a comparison: one for each label and seed, each in a folder of its own."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
from pydantic import ValidationError

from anchorrec_graph.compare.costs import Cost, read_cost
from anchorrec_graph.compare.labels import Entry
from anchorrec_graph.config import Config, describe
from anchorrec_graph.errors import ConfigError, RunError
from anchorrec_graph.evaluate.metrics import METRICS, parse_metric
from anchorrec_graph.train.environment import machine_of, versions_of
from anchorrec_graph.train.run import RunFolder
from anchorrec_graph.train.seed import read_object
from anchorrec_graph.train.settings import TrainConfig


class Job(NamedTuple):
    """A run to be made; `config.train.seeds` is the one seed."""

    label: str
    seed: int
    config: Config
    folder: Path

    @property
    def title(self) -> str:
        return f"{self.label}, seed {self.seed}"


class Result(NamedTuple):
    """One seed of a row, or one file of another program."""

    name: str  # the seed, or the file
    test: dict[str, float]
    per_user: pl.DataFrame  # see `RankingResult.per_user`
    cost: Cost = Cost()
    origin: dict[str, Any] = {}  # noqa: RUF012  run folder, settings, where it was made, epochs


def make_jobs(entries: Sequence[Entry], seeds: Sequence[int], out: Path) -> list[Job]:
    """Every label with the first seed, then with the second, ...: folder `<out>/runs/<model>-<hash>`.

    The hash is that of the settings with the seed, so changed settings are another run, and the same
    settings under another label are the same run.

    Raises:
        ConfigError: no seeds, or a seed twice or out of range.
    """
    try:
        TrainConfig(seeds=tuple(seeds))
    except ValidationError as error:
        raise ConfigError(describe(error)) from error
    jobs = []
    for seed in seeds:
        for label, config, _ in entries:
            train = config.train.model_copy(update={"seeds": (seed,)})
            settings = config.model_copy(update={"train": train})
            folder = out / "runs" / f"{settings.model.name}-{settings.hash}"
            jobs.append(Job(label, seed, settings, folder))
    return jobs


def is_finished(job: Job, manifest: dict[str, Any]) -> bool:
    """Whether the job's run is complete.

    Raises:
        RunError: its files are damaged, or it was made from other data than `manifest` describes.
    """
    if not (job.folder / "config.yaml").exists():
        return False
    run = RunFolder.open(job.folder)
    try:
        run.check_data(manifest)
    except RunError as error:
        raise RunError(f"{error}: delete that folder, or name another --out") from error
    return run.seed(job.seed).load_result() is not None


def _places(environment: Path) -> dict[str, list[str]]:
    """Where a run was made and went on: its commits, versions and machines, each once."""
    began = read_object(environment)
    places = [began, *began.get("resumed", [])]
    try:
        return {
            "commits": list(dict.fromkeys(place["commit"] or "not in a checkout" for place in places)),
            "versions": list(dict.fromkeys(map(versions_of, places))),
            "machines": list(dict.fromkeys(map(machine_of, places))),
        }
    except KeyError as error:
        raise _lacks(environment, error.args[0]) from error


def _cut_off(train: TrainConfig, result: dict[str, Any]) -> bool:
    """Whether training ended at `train.epochs` while it still might have become better."""
    learns = "epochs" in result
    return learns and not train.out_of_patience(result["epochs"], result["best_epoch"])


def _require(path: Path, found: Container[str], needed: Iterable[str]) -> None:
    for name in needed:
        if name not in found:
            raise _lacks(path, name)


def _lacks(path: Path, name: str) -> RunError:
    return RunError(f"{path}: lacks '{name}'; delete its run folder and run the comparison again")


def read_result(job: Job) -> Result:
    """What a finished job left.

    Raises:
        RunError: it is not finished, or a file is damaged.
    """
    run = RunFolder.open(job.folder)
    seed = run.seed(job.seed)
    result = seed.load_result()
    if result is None:
        raise RunError(f"{seed.path}: not finished; run the comparison again")
    try:
        per_user = pl.read_parquet(seed.per_user)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise RunError(f"{seed.per_user}: cannot be read ({error}); delete {job.folder}") from error
    metrics = job.config.evaluate.metrics
    _require(seed.metrics, result, ("test", "validation", "parameters"))
    _require(seed.metrics, result["test"], metrics)
    _require(seed.per_user, per_user.columns, [m for m in metrics if parse_metric(m).kind in METRICS])
    origin = {
        "run": str(job.folder),
        "config_hash": job.config.hash,
        "data_hash": run.data_hash,
        **_places(job.folder / "environment.json"),
        "best_epoch": result.get("best_epoch"),
        "epochs": result.get("epochs"),
        "cut_off": _cut_off(job.config.train, result),
        "validation": result["validation"],
    }
    cost = read_cost(job.folder, seed, result)
    return Result(str(job.seed), result["test"], per_user, cost, origin)
