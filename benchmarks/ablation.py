"""What each part of AnchorRec is worth, on validation: the table behind its defaults.

    python benchmarks/ablation.py DATASET... [--groups G,G,...] [--seeds 0,1,2] [--jobs 2] [--data FOLDER]
        [--publish]

Trains the variants in benchmarks/ablation_rows.py of configs/anchorrec/DATASET.yaml and of
DATASET-released.yaml. They differ from it in one setting, but for the rows of `loss`, which also drop the
history view, and those of `without` that name several parts. The data are loaded without test pairs.
Every finished training is a line of .cache/ablation/DATASET.jsonl, also after Ctrl-C, and is never repeated
with equal settings, data and code of the package. The table goes to .cache/ablation/DATASET.md and .json,
with --publish to benchmarks/results/ablation-DATASET.md and .json.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import signal
import statistics
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import NamedTuple

import torch
from ablation_rows import GROUPS, Variant, variants
from cold_tables import mean_sd
from compare import CONFIGS, RESULTS, at_least_one, data_folder, for_each_dataset, lacking, seed_list

import anchorrec_graph
from anchorrec_graph.config import Config, load_config
from anchorrec_graph.diagnose.spaces import final_space
from anchorrec_graph.diagnose.structure import knn_overlap
from anchorrec_graph.errors import ConfigError, TrainingError
from anchorrec_graph.evaluate.evaluator import Evaluator
from anchorrec_graph.files import replacing, save_json
from anchorrec_graph.models.base import build_model
from anchorrec_graph.settings import check_names
from anchorrec_graph.train.environment import environment
from anchorrec_graph.train.history import read_history
from anchorrec_graph.train.trainer import Trainer
from anchorrec_graph.tune.trial import without_test

CACHE = Path(".cache/ablation")
METRICS = ("Recall@20", "NDCG@20")
Result = dict[str, float]


class Training(NamedTuple):
    """A variant on a seed, as messages name it, and the key of its result in the cache."""

    title: str
    key: str
    config: Config


def settings(dataset: str, variant: Variant, seed: int, data: Path | None) -> Config:
    overrides = [*variant.overrides, f"train.seeds=[{seed}]", *data_folder(dataset, data)]
    return load_config(CONFIGS / "anchorrec" / f"{dataset}{variant.base}.yaml", overrides)


def measure(config: Config) -> Result:
    """Validation metrics of the best epoch, and the overlap of the sum of the learned item views with native
    features, as in benchmarks/compare.py: columns of history and popularity are left out.

    The cache does not see a change of this function: delete it then.
    """
    torch.set_num_threads(1)
    data, seed = without_test(config.dataset.load()), config.train.seeds[0]
    torch.manual_seed(seed)
    model = build_model(config.model, data)
    evaluator = Evaluator(config.evaluate, data)
    trainer = Trainer(model, data, config.train, evaluator, seed)
    epochs = sum(1 for _ in trainer.epochs())
    assert trainer.best is not None
    model.load_state_dict(trainer.best)
    with torch.no_grad():
        embeddings = model.eval().encode()
    values = evaluator.evaluate(embeddings, "validation").metrics
    result = {name: values[name] for name in METRICS} | {
        "epochs": epochs,
        "seconds": trainer.progress.seconds,
    }
    own = final_space(embeddings.views)
    assert own is not None
    for modality in data.modalities:
        result[f"overlap {modality}"] = knn_overlap(own, data["item"][modality]).corrected
    return result


def code_hash() -> str:
    """Of the package's Python files. A commit is the same for all edits of it, and new with every text."""
    folder = Path(anchorrec_graph.__file__).parent
    total = hashlib.sha256()
    for name in sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.py")):
        content = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        total.update(f"{name} {content}\n".encode())
    return total.hexdigest()[:12]


def run(
    dataset: str, seeds: list[int], jobs: int, data: Path | None, groups: list[str] | None = None
) -> dict[str, list[Result]]:
    """The results of every variant of these groups, one for each seed; known ones come from the cache."""
    check_names("--groups", "group", groups or (), GROUPS)
    loaded = settings(dataset, Variant("", ""), 0, data).dataset.load()
    rows = [row for row in variants(loaded.modalities) if groups is None or row.group in groups]
    origin = f"{loaded.manifest['hash']}|{code_hash()}"
    wanted = {}
    for seed in seeds:
        for row in rows:
            config = settings(dataset, row, seed, data)
            key = f"{config.hash}|{origin}"
            wanted[row.key, seed] = Training(f"{row.key} (seed {seed})", key, config)
    cache = CACHE / f"{dataset}.jsonl"
    known = {entry["key"]: entry["result"] for entry in read_history(cache)}
    missing = {each.key: each for each in wanted.values() if each.key not in known}  # equal settings: once
    known |= train(list(missing.values()), jobs, cache)
    return {row.key: [known[wanted[row.key, seed].key] for seed in seeds] for row in rows}


def train(trainings: Sequence[Training], jobs: int, cache: Path) -> dict[str, Result]:
    """Their results by key, each appended to the cache as it comes; Ctrl-C ends all trainings at once.

    Raises:
        TrainingError: naming those that failed, after the others came to their end; at once where a process
            was killed.
    """
    found, failures = dict[str, Result](), list[str]()
    kept = "".join(json.dumps(entry) + "\n" for entry in read_history(cache))
    with replacing(cache) as temporary:
        temporary.write_text(kept, encoding="utf-8")  # without a last line that was cut short
    context = multiprocessing.get_context("spawn")
    ctrl_c_is_the_parents = (signal.SIGINT, signal.SIG_IGN)
    with (
        ProcessPoolExecutor(jobs, context, signal.signal, ctrl_c_is_the_parents) as pool,
        cache.open("a", encoding="utf-8") as file,
    ):
        try:
            waiting = {pool.submit(measure, each.config): each for each in trainings}
            for number, future in enumerate(as_completed(waiting), 1):
                title, key, _ = waiting[future]
                error = future.exception()
                if isinstance(error, BrokenProcessPool):
                    raise TrainingError(
                        "the process of a training was killed, perhaps for want of memory; the same command "
                        "goes on, with fewer --jobs if that is the reason"
                    )
                if error:
                    failures.append(f"{title}: {error}")
                    continue
                found[key] = future.result()
                file.write(json.dumps({"key": key, "result": found[key]}) + "\n")
                file.flush()
                print(f"[{number}/{len(waiting)}] {title}: {found[key]}", file=sys.stderr, flush=True)
        except BaseException:  # the pool, left like this, would first train all that waits
            for process in multiprocessing.active_children():
                process.terminate()
            raise
    if failures:
        raise TrainingError("; ".join(failures))
    return found


def table(results: dict[str, list[Result]], seeds: list[int], groups: list[str] | None = None) -> str:
    names = [name for name in next(iter(results.values()))[0] if name not in ("epochs", "seconds")]
    lines = ["| variant | " + " | ".join(names) + " | epochs |", "|---|" + "---:|" * (len(names) + 1)]
    for variant, values in results.items():
        cells = [mean_sd([value[name] for value in values]) for name in names]
        epochs = statistics.fmean(value["epochs"] for value in values)
        lines.append(f"| {variant} | " + " | ".join(cells) + f" | {epochs:.0f} |")
    shown = f"; rows of the groups {', '.join(groups)} alone" if groups else ""
    told = f"Validation, seeds {', '.join(map(str, seeds))}, mean ± sd{shown}."
    return "\n".join([*lines, "", told]) + "\n"


def publish(dataset: str, args: argparse.Namespace) -> None:
    target = RESULTS / f"ablation-{dataset}" if args.publish else CACHE / dataset
    if args.publish:
        refuse_less(Path(f"{target}.json"), args)
    results = run(dataset, args.seeds, args.jobs, args.data, args.groups)
    text = table(results, args.seeds, args.groups)
    with replacing(Path(f"{target}.md")) as temporary:
        temporary.write_text(text, encoding="utf-8")
    report = {"seeds": args.seeds, "results": results, "environment": environment()}
    save_json(Path(f"{target}.json"), report)
    print(text)


def refuse_less(path: Path, args: argparse.Namespace) -> None:
    """Raise ConfigError if the published table has groups or seeds that this one would lack."""
    if not path.exists():
        return
    there = json.loads(path.read_text(encoding="utf-8"))
    groups = {row.partition(":")[0] for row in there["results"]} - set(args.groups or GROUPS)
    less = lacking("the groups", groups, there["seeds"], args.seeds)
    if less:
        raise ConfigError(f"{path} has {less}, which this table would lack; name them too")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("datasets", nargs="+", metavar="DATASET")
    parser.add_argument(
        "--groups",
        type=lambda text: text.split(","),
        metavar="G,G,...",
        help=f"rows of these alone: {','.join(GROUPS)}",
    )
    parser.add_argument("--seeds", type=seed_list, default=[0, 1, 2])
    parser.add_argument("--jobs", type=at_least_one, default=2)
    parser.add_argument("--data", type=Path, metavar="FOLDER")
    parser.add_argument("--publish", action="store_true")
    args = parser.parse_args()
    for_each_dataset(publish, args)


if __name__ == "__main__":
    main()
