"""`fit` trains every seed of a configuration; `load_run` reads a trained model back."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from anchorrec_graph.config import Config
from anchorrec_graph.errors import ConfigError, RunError
from anchorrec_graph.evaluate.evaluator import Evaluator
from anchorrec_graph.files import save_json
from anchorrec_graph.graph.relation import Relation
from anchorrec_graph.graph.sharing import shared_by
from anchorrec_graph.models.base import Recommender, build_model
from anchorrec_graph.train.progress import Display, Silent
from anchorrec_graph.train.ranks import ALONE, LostRank, Ranks, may_restart, num_restarts
from anchorrec_graph.train.run import RunFolder
from anchorrec_graph.train.seed import SeedFolder
from anchorrec_graph.train.trainer import Trainer

SEEN_WITHIN = 30.0  # seconds until a folder that one machine makes is seen by the others


class FitResult(NamedTuple):
    """What `fit` returns. Metrics are means over the seeds; `spread` are their standard deviations."""

    folder: Path
    validation: dict[str, float]
    test: dict[str, float]
    spread: dict[str, float]  # sample standard deviation of `test`; empty for one seed
    seeds: dict[int, dict[str, Any]]  # each seed's metrics.json


class Run(NamedTuple):
    """A trained model with its settings and data."""

    folder: Path
    config: Config
    data: HeteroData
    model: Recommender
    seed: int


def fit(
    config: Config,
    data: HeteroData,
    folder: str | Path | None = None,
    resume: bool = False,
    display: Display | None = None,
    ranks: Ranks = ALONE,
) -> FitResult:
    """Train `config.model` once for each of `config.train.seeds`, and evaluate each on test once.

    The best epoch is chosen on validation. A seed that is complete in the
    folder is not trained again; one that was interrupted continues from its
    last checkpoint.

    Args:
        data: what `config.dataset.load()` returned.
        folder: where the run is kept; default `runs/<model>-<dataset>-<time>`.
        resume: continue the run in `folder`. Processes that torchrun has restarted do so anyway.
        ranks: the processes that call this together (`train.ranks.joined`). All get the result; only the
            first writes and shows.

    Raises:
        RunError: the folder holds a run and `resume` is not set, or one of other settings or data;
            or another process is training in it.
        DataError: the data has no validation or no test pairs.
        TrainingError: a loss term is not finite, or another process was lost.
        ConfigError: fewer batches in a step than processes, or torchrun may restart and no folder is named.
    """
    ranks.check_batches(config.train.batches_per_step)
    if folder is None and may_restart() and not resume:
        raise ConfigError(
            "with torchrun --max-restarts name the run folder (--run-dir FOLDER): processes that are started "
            "anew cannot know a folder named by the time"
        )
    ranks.check_equal("settings or data", lambda: f"{config.hash}|{data.manifest['hash']}")
    evaluator = Evaluator(config.evaluate, data, ranks)
    for split in ("validation", "test"):
        evaluator.users(split)  # if there are none, say so now and not after the first epoch
    path = Path(folder) if folder is not None else None
    restarted = any(ranks.gather(num_restarts() > 0))  # each machine counts its own
    path = Path(ranks.first(lambda: str(_run_folder(config, data, path, resume, restarted).path)))
    run = RunFolder(path, config, str(data.manifest["hash"]))
    _check_seen_by_all(run.path, ranks)
    with run.locked() if ranks.is_first else nullcontext():
        try:
            results = {
                seed: ranks.first(run.seed(seed).load_result)
                or _fit_seed(config, data, evaluator, run, seed, display, ranks)
                for seed in config.train.seeds
            }
        except KeyboardInterrupt as stop:
            stop.add_note(f"continue with: anchorrec train --resume {run.path}")
            raise
        except LostRank as lost:
            raise LostRank(f"{lost}; continue with --resume {run.path}") from lost
        result = _summary(run.path, results)
        if ranks.is_first:
            save_json(run.path / "summary.json", summary(result))
    return result


def _check_seen_by_all(path: Path, ranks: Ranks) -> None:
    """Refuse a run folder that another machine does not see; it needs the weights when training ends.

    Raises:
        RunError: on all ranks.
    """
    made = path.resolve() / "config.yaml"
    deadline = time.monotonic() + SEEN_WITHIN
    while ranks.size > 1 and not made.exists() and time.monotonic() < deadline:
        time.sleep(0.5)
    blind = [rank for rank, seen in enumerate(ranks.gather(made.exists())) if not seen]
    if blind:
        raise RunError(
            f"{path}: process {blind[0]} does not find this run; several machines need a folder that all of "
            "them see under this path (--run-dir)"
        )


def summary(result: FitResult) -> dict[str, Any]:
    """Means and spread, as `summary.json` keeps them."""
    return {
        "validation": result.validation,
        "test": result.test,
        "test_sd": result.spread,
        "seeds": list(result.seeds),
    }


def _run_folder(
    config: Config, data: HeteroData, folder: Path | None, resume: bool, restarted: bool
) -> RunFolder:
    begun = restarted and folder is not None and (folder / "config.yaml").exists()
    if not resume and not begun:
        return RunFolder.create(folder, config, data.manifest)
    if folder is None:
        raise RunError("to resume, name the run folder")
    run = RunFolder.open(folder)
    if run.config.hash != config.hash:
        raise RunError(f"{folder}: holds a run of other settings (see its config.yaml); name another folder")
    run.check_data(data.manifest)
    return run


def _fit_seed(
    config: Config,
    data: HeteroData,
    evaluator: Evaluator,
    run: RunFolder,
    seed: int,
    display: Display | None,
    ranks: Ranks,
) -> dict[str, Any]:
    folder = run.seed(seed)
    torch.manual_seed(seed)
    started = time.perf_counter()
    with shared_by(ranks):
        model = build_model(config.model, data)
        if ranks.is_first:
            run.note(recalls(model))
        parameters = _num_parameters(model)  # before tables are cut
        trainer = Trainer(model, data, config.train, evaluator, seed, ranks) if learns(model) else None
    building = time.perf_counter() - started
    begun = 0 if trainer is None else trainer.load(folder).epoch
    if ranks.is_first:
        run.note_environment(seed, begun)
    result: dict[str, Any] = {"seed": seed, "parameters": parameters, "build_seconds": building}
    if trainer is not None:
        progress = trainer.run(folder, display if display and ranks.is_first else Silent())
        load_best(model, folder)
        result |= {"best_epoch": progress.best_epoch, "epochs": progress.epoch, "seconds": progress.seconds}
    model.eval()
    with torch.no_grad():
        embeddings = model.final()
    validation = evaluator.evaluate(embeddings, "validation")
    test = evaluator.evaluate(embeddings, "test")
    result |= {"validation": validation.metrics, "test": test.metrics, **recalls(model)}
    if ranks.is_first:
        folder.save_result(result, test.per_user)
    ranks.wait()
    return result


def recalls(model: Recommender) -> dict[str, dict[str, float]]:
    """The measured recall of every approximate item graph, by its place in the model; empty without any."""
    graphs = {name: part.recall for name, part in model.named_modules() if isinstance(part, Relation)}
    known = {name: recall for name, recall in graphs.items() if recall is not None}
    return {"graph_recall": known} if known else {}


def _num_parameters(model: Recommender) -> int:
    return sum(p.numel() for p in model.parameters())


def learns(model: Recommender) -> bool:
    """Whether training changes the model at all."""
    return next(model.parameters(), None) is not None


def load_best(model: Recommender, folder: SeedFolder) -> None:
    """Put the weights of the best epoch into a model; one that learns nothing has none.

    Raises:
        RunError: they are missing, damaged, or of another model.
    """
    if learns(model):
        load_weights(model, folder.load_best(), folder.best)


def load_weights(model: Recommender, weights: Mapping[str, Tensor], path: Path) -> None:
    """Put weights that were read from `path` into the model.

    Raises:
        RunError: they are of another model.
    """
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise RunError(f"{path}: does not fit the model ({error}); train again") from error


def _summary(path: Path, results: dict[int, dict[str, Any]]) -> FitResult:
    means: dict[str, dict[str, float]] = {}
    for split in ("validation", "test"):
        names = next(iter(results.values()))[split]
        means[split] = {n: statistics.fmean(r[split][n] for r in results.values()) for n in names}
    spread = {}
    if len(results) > 1:
        spread = {n: statistics.stdev(r["test"][n] for r in results.values()) for n in means["test"]}
    return FitResult(path, means["validation"], means["test"], spread, results)


def load_run(folder: str | Path, seed: int | None = None) -> Run:
    """The settings, data and best weights of a run.

    Args:
        seed: one of the run's seeds; default the first.

    Raises:
        RunError: no such run or seed, not trained yet, damaged, or the data changed since.
    """
    run = RunFolder.open(Path(folder))
    seed = run.config.train.seeds[0] if seed is None else seed
    run.check_seed(seed)
    data = run.config.dataset.load()
    run.check_data(data.manifest)
    return Run(Path(folder), run.config, data, load_model(run, data, seed), seed)


def load_model(run: RunFolder, data: HeteroData, seed: int) -> Recommender:
    """The model of a run on its data with the best weights of a seed, in evaluation mode.

    Raises:
        RunError: not trained yet, or damaged.
    """
    model = build_model(run.config.model, data)
    load_best(model, run.seed(seed))
    return model.eval()
