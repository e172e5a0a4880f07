"""Tuning on validation (extra `tune`). Test is never read."""

from anchorrec_graph.tune.search import TuneResult, tune
from anchorrec_graph.tune.space import Dimension, Space

__all__ = ["Dimension", "Space", "TuneResult", "tune"]
