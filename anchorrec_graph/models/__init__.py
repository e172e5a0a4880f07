"""One paper per file. Importing the package registers every model."""

from anchorrec_graph.models import (
    alignrec,
    anchorrec,
    bm3,
    content_knn,
    damrs,
    ease,
    ease_features,
    freedom,
    item_knn,
    lattice,
    lgmrec,
    lightgcn,
    mgcn,
    popularity,
    smore,
    vbpr,
)
from anchorrec_graph.models.base import MODELS, ModelConfig, Recommender, build_model

__all__ = [
    "MODELS",
    "ModelConfig",
    "Recommender",
    "alignrec",
    "anchorrec",
    "bm3",
    "build_model",
    "content_knn",
    "damrs",
    "ease",
    "ease_features",
    "freedom",
    "item_knn",
    "lattice",
    "lgmrec",
    "lightgcn",
    "mgcn",
    "popularity",
    "smore",
    "vbpr",
]
