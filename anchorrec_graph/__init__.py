"""anchorrec_graph: multimodal graph recommendation on PyTorch Geometric."""

import os

# Huge pages for large CPU tensors: new gradients of feature tables otherwise cost a page fault per 4 KiB.
# PyTorch reads it at its first large allocation.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

from anchorrec_graph.config import Config, load_config
from anchorrec_graph.data import DATASETS, DatasetConfig
from anchorrec_graph.evaluate import Evaluator
from anchorrec_graph.graph.relation import Relation
from anchorrec_graph.models import MODELS, ModelConfig, Recommender, build_model
from anchorrec_graph.nn.backbone import BACKBONES, Backbone, BackboneConfig
from anchorrec_graph.train.fit import FitResult, Run, fit, load_run
from anchorrec_graph.typing import Batch, Embeddings, View

__version__ = "0.1.0"

__all__ = [
    "BACKBONES", "DATASETS", "MODELS", "Backbone", "BackboneConfig", "Batch", "Config", "DatasetConfig",
    "Embeddings", "Evaluator", "FitResult", "ModelConfig", "Recommender", "Relation", "Run", "View",
    "build_model", "fit", "load_config", "load_run",
]  # fmt: skip
