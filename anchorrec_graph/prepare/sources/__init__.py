"""Readers of raw formats, one per file. Importing the package registers every source."""

from anchorrec_graph.prepare.sources import amazon, mmrec, movielens, recbole, table
from anchorrec_graph.prepare.sources.base import SOURCES, Source

__all__ = ["SOURCES", "Source", "amazon", "mmrec", "movielens", "recbole", "table"]
