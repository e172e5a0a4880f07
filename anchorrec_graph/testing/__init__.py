"""For tests of your own classes: the conformance suite, a tiny data set, and golden numbers."""

from anchorrec_graph.testing.conformance import check_backbone, check_model
from anchorrec_graph.testing.tiny import tiny_data

__all__ = ["check_backbone", "check_model", "tiny_data"]
