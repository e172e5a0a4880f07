"""Data sources, splits, checks and sampling. Importing the package registers every source."""

from anchorrec_graph.data import mmrec, movielens, planted, prepared
from anchorrec_graph.data.base import DATASETS, DatasetConfig

__all__ = ["DATASETS", "DatasetConfig", "mmrec", "movielens", "planted", "prepared"]
