"""The rows of benchmarks/ablation.py: each a configuration and what is changed in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple

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
        *_widths(),
        *_repairs(modalities),
        *_release_without(),
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


def _widths() -> Iterator[Variant]:
    for dim in (32, 128):
        yield Variant("width", f"embedding_dim {dim}", (f"model.embedding_dim={dim}",))


def _repairs(modalities: tuple[str, ...]) -> Iterator[Variant]:
    """What is wrong with the release, mended one at a time."""
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


def _release_without() -> Iterator[Variant]:
    """The release without each of its own loss terms, and without the decoded view in its score (recover)."""
    for part in ("smooth", "margin", "l2", "recover"):
        yield Variant("released", f"without {part}", (f"model.{part}_weight=0",), "-released")
    for part in ("align", "preserve"):
        yield Variant("released", f"without {part}", (f"model.{part}.weight=0",), "-released")


GROUPS = tuple(dict.fromkeys(row.group for row in variants(())))  # the same for all modalities
