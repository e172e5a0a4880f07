"""Full-ranking evaluation: exact top-k lists, metrics, slices, and tests of significance."""

from anchorrec_graph.evaluate.evaluator import EvaluateConfig, Evaluator, RankingResult, Split
from anchorrec_graph.evaluate.metrics import LIST_METRICS, METRICS, MetricName, parse_metric
from anchorrec_graph.evaluate.ranking import TopK, top_k
from anchorrec_graph.evaluate.significance import (
    PairedTest,
    holm,
    paired_t_test,
    paired_values,
    wilcoxon_test,
)
from anchorrec_graph.evaluate.slices import slice_metrics
from anchorrec_graph.evaluate.user_items import UserItems

__all__ = [
    "LIST_METRICS",
    "METRICS",
    "EvaluateConfig",
    "Evaluator",
    "MetricName",
    "PairedTest",
    "RankingResult",
    "Split",
    "TopK",
    "UserItems",
    "holm",
    "paired_t_test",
    "paired_values",
    "parse_metric",
    "slice_metrics",
    "top_k",
    "wilcoxon_test",
]
