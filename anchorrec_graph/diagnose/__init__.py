"""Measures of what a model does with its modalities."""

from anchorrec_graph.diagnose.structure import knn_overlap, neighbour_coherence

__all__ = ["knn_overlap", "neighbour_coherence"]
