"""What each part of AnchorRec is worth, on validation: the table behind its defaults.

    python benchmarks/ablation.py DATASET... [--groups G,G,...] [--seeds 0,1,2] [--jobs 2] [--data FOLDER]

Trains variants of configs/anchorrec/DATASET.yaml that differ from it in one setting, and of
configs/anchorrec/DATASET-released.yaml with one repair each. The data are loaded without test pairs.
Every finished training is a line of .cache/ablation/DATASET.jsonl and is never repeated; the table goes
to benchmarks/results/ablation-DATASET.md and .json.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, NamedTuple

import torch

from anchorrec_graph.config import Config, load_config
from anchorrec_graph.diagnose.structure import knn_overlap
from anchorrec_graph.errors import AnchorRecError, TrainingError
from anchorrec_graph.evaluate.evaluator import Evaluator
from anchorrec_graph.files import replacing, save_json
from anchorrec_graph.models.base import build_model
from anchorrec_graph.settings import check_names
from anchorrec_graph.train.environment import environment
from anchorrec_graph.train.history import read_history
from anchorrec_graph.train.trainer import Trainer
from anchorrec_graph.tune.trial import without_test

RESULTS, CACHE = Path("benchmarks/results"), Path(".cache/ablation")
METRICS = ("Recall@20", "NDCG@20")
NO_HISTORY = "model.history.weight=0"  # its share of the score hangs on the loss's temperature


class Variant(NamedTuple):
    """One row: the base it starts from, and the settings in which it differs."""

    group: str
    name: str
    overrides: tuple[str, ...] = ()
    base: str = ""  # "-released" or the default

    @property
    def key(self) -> str:
        return f"{self.group}: {self.name}"


def variants(modalities: tuple[str, ...]) -> list[Variant]:
    """Every row for a data set with these modalities."""
    return [
        Variant("default", "as configured"),
        *_leave_out(),
        *_alignment(modalities),
        *_views(),
        *_graphs(),
        *_losses(),
        *_repairs(modalities),
    ]


def _leave_out() -> Iterator[Variant]:
    parts = {
        "align": ["model.align.weight=0"], "preserve": ["model.preserve.weight=0"],
        "align and preserve": ["model.align.weight=0", "model.preserve.weight=0"],
        "history view": [NO_HISTORY], "popularity prior": ["model.popularity_weight=0"],
        "history and popularity": [NO_HISTORY, "model.popularity_weight=0"],
        "modality views, align and preserve: LightGCN with history and prior": [
            "model.score_views=[]", "model.align.weight=0", "model.preserve.weight=0"
        ],
    }  # fmt: skip
    yield from (Variant("without", name, tuple(overrides)) for name, overrides in parts.items())
    for term in ("smooth_weight=0.1", "margin_weight=0.01", "l2_weight=0.001"):
        yield Variant("with", term, (f"model.{term}",))


def _alignment(modalities: tuple[str, ...]) -> Iterator[Variant]:
    for head in ("linear", "none"):
        yield Variant("align", f"head {head}", (f"model.align.head={head}",))
    yield Variant("align", "heads read features", ("model.align.source=feature",))
    for anchor in ("id", *modalities):
        yield Variant("align", f"anchor {anchor}", (f"model.align.anchor={anchor}",))
    terms = [{"targets": {m: 1.0}, "detach_anchor": True} for m in ("id", *modalities)]
    yield Variant("align", "anchor detached", (f"model.align.terms={json.dumps(terms)}",))
    yield Variant(
        "align", "only id to the anchor", (f"model.align.terms={json.dumps([{'targets': {'id': 1}}])}",)
    )
    for weight in (0.01, 1.0):
        yield Variant("align", f"weight {weight}", (f"model.align.weight={weight}",))
    for temperature in (0.05, 0.1, 0.5):
        yield Variant("align", f"temperature {temperature}", (f"model.align.temperature={temperature}",))


def _views() -> Iterator[Variant]:
    for start in ("gate", "feature"):
        yield Variant("view", f"start {start}", (f"model.view_start={start}",))
    yield Variant("view", "id alone in the score", ("model.score_views=[]",))
    yield Variant("view", "fused alone beside id", ("model.score_views=[fused]",))
    yield Variant("view", "trainable features", ("model.trainable_features=true",))
    yield Variant("view", "feature_dim 64", ("model.feature_dim=64",))


def _graphs() -> Iterator[Variant]:
    for k in (5, 20):
        yield Variant("graph", f"k {k}", (f"model.knn.k={k}",))
    for layers in (0, 2):
        yield Variant("graph", f"item graph hops {layers}", (f"model.num_knn_layers={layers}",))
    for layers in (1, 3):
        yield Variant("graph", f"backbone layers {layers}", (f"model.backbone.num_layers={layers}",))


def _losses() -> Iterator[Variant]:
    """All without the history view, like the row that leaves it out."""
    yield Variant("loss", "bpr", ("model.loss=bpr", NO_HISTORY))
    yield Variant("loss", "softmax, 512 negatives", ("model.loss={name: softmax}", NO_HISTORY))
    for temperature in (0.1, 0.15, 0.2, 0.3):
        loss = f"model.loss={{name: full_softmax, temperature: {temperature}}}"
        yield Variant("loss", f"full softmax, temperature {temperature}", (loss, NO_HISTORY))
    for dim in (32, 128):
        yield Variant("loss", f"embedding_dim {dim}", (f"model.embedding_dim={dim}",))


def _repairs(modalities: tuple[str, ...]) -> Iterator[Variant]:
    """models.md 1.3: what is wrong with the release, mended one at a time."""
    terms = [{"targets": {m: 1.0}} for m in ("id", *modalities)]
    repairs = {
        "as released": [],
        "every view aligned, with gradient": [f"model.align.terms={json.dumps(terms)}"],
        "every view in the score": [f"model.score_views={json.dumps(['fused', *modalities])}"],
        "frozen features": ["model.trainable_features=false"],
        "unit features, reduced": ["model.feature_dim=256"],
        "no item its own neighbour": ["model.knn.include_self=false"],
        "views start from features": ["model.view_start=feature+id"],
        "full softmax": ["model.loss=full_softmax"],
        "history view": ["model.history.weight=3"],
    }  # fmt: skip
    yield from (Variant("released", name, tuple(o), "-released") for name, o in repairs.items())


def settings(dataset: str, variant: Variant, seed: int, data: Path | None) -> Config:
    overrides = [*variant.overrides, f"train.seeds=[{seed}]"]
    path = Path("configs/anchorrec") / f"{dataset}{variant.base}.yaml"
    if data and "folder" in type(load_config(path).dataset).model_fields:
        overrides.append(f"dataset.folder={json.dumps(str(data / dataset))}")
    return load_config(path, overrides)


def measure(config: Config) -> dict[str, float]:
    """Validation metrics of the best epoch, and the final item space's overlap with native features."""
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
    for modality in data.modalities:
        result[f"overlap {modality}"] = knn_overlap(embeddings.item, data["item"][modality]).corrected
    return result


def run(
    dataset: str, seeds: list[int], jobs: int, data: Path | None, groups: list[str] | None = None
) -> dict[str, list[dict[str, float]]]:
    """The results of every variant of these groups, one for each seed; known ones come from the cache."""
    cache = CACHE / f"{dataset}.jsonl"
    cache.parent.mkdir(parents=True, exist_ok=True)
    known: dict[str, dict[str, float]] = {}
    if cache.exists():
        known = {entry["key"]: entry["result"] for entry in read_history(cache)}
    commit = environment()["commit"]
    loaded = settings(dataset, Variant("", ""), 0, data).dataset.load()
    rows = variants(loaded.modalities)
    check_names("--groups", "group", groups or (), dict.fromkeys(row.group for row in rows))
    rows = [row for row in rows if groups is None or row.group in groups]
    wanted = {}
    for seed in seeds:
        for variant in rows:
            config = settings(dataset, variant, seed, data)
            wanted[variant.key, seed] = (f"{config.hash}|{loaded.manifest['hash']}|{commit}", config)
    missing = {key: config for key, config in wanted.values() if key not in known}
    context = multiprocessing.get_context("spawn")
    failures = []
    with ProcessPoolExecutor(jobs, mp_context=context) as pool, cache.open("a", encoding="utf-8") as file:
        waiting = {pool.submit(measure, config): key for key, config in missing.items()}
        for number, future in enumerate(as_completed(waiting), 1):
            if error := future.exception():
                failures.append(f"{missing[waiting[future]].model}: {error}")
                continue
            known[waiting[future]] = future.result()
            file.write(json.dumps({"key": waiting[future], "result": future.result()}) + "\n")
            file.flush()
            print(f"[{number}/{len(waiting)}] {future.result()}", file=sys.stderr, flush=True)
    if failures:
        raise TrainingError("; ".join(failures))
    return {v.key: [known[wanted[v.key, seed][0]] for seed in seeds] for v in rows}


def table(results: dict[str, list[dict[str, float]]], seeds: list[int]) -> str:
    names = [name for name in next(iter(results.values()))[0] if name not in ("epochs", "seconds")]
    lines = ["| variant | " + " | ".join(names) + " | epochs |", "|---|" + "---:|" * (len(names) + 1)]
    for variant, values in results.items():
        cells = [_mean_sd([value[name] for value in values]) for name in names]
        epochs = statistics.fmean(value["epochs"] for value in values)
        lines.append(f"| {variant} | " + " | ".join(cells) + f" | {epochs:.0f} |")
    return "\n".join(lines) + f"\n\nValidation, seeds {', '.join(map(str, seeds))}, mean ± sd.\n"


def _mean_sd(values: list[float]) -> str:
    mean = f"{statistics.fmean(values):.4f}"
    return f"{mean} ± {statistics.stdev(values):.4f}" if len(values) > 1 else mean


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("datasets", nargs="+", metavar="DATASET")
    parser.add_argument(
        "--groups",
        type=lambda text: text.split(","),
        metavar="G,G,...",
        help="rows of these alone: default,without,with,align,view,graph,loss,released",
    )
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--data", type=Path, metavar="FOLDER")
    args = parser.parse_args()
    seeds = [int(seed) for seed in args.seeds.split(",")]
    for dataset in args.datasets:
        try:
            results = run(dataset, seeds, args.jobs, args.data, args.groups)
        except AnchorRecError as error:
            sys.exit(f"error: {dataset}: {error}")
        text = table(results, seeds)
        with replacing(RESULTS / f"ablation-{dataset}.md") as temporary:
            temporary.write_text(text, encoding="utf-8")
        report: dict[str, Any] = {"seeds": seeds, "results": results, "environment": environment()}
        save_json(RESULTS / f"ablation-{dataset}.json", report)
        print(text)


if __name__ == "__main__":
    main()
