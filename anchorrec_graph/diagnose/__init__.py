"""Measures of what a model does with its modalities, each a function of tensors.

structure   are an item's neighbours still the ones that its features give?
position    do the same items lie at the same place in two spaces?
dimension   over how many directions is a space spread?
dominance   which views are the scores made of, and (removal) what is lost without one?
popularity  are neighbours and recommended items the popular ones?

`diagnose.diagnosis` takes all of them of a model, `diagnose.runs` of trained runs.
"""

from anchorrec_graph.diagnose.baselines import baseline_spaces
from anchorrec_graph.diagnose.dimension import (
    effective_rank,
    participation_ratio,
    singular_values,
    stable_rank,
)
from anchorrec_graph.diagnose.dominance import absolute_shares, covariance_shares, pair_parts, ranking_shares
from anchorrec_graph.diagnose.groups import group_means, popularity_quartiles
from anchorrec_graph.diagnose.popularity import (
    Concentration,
    concentration,
    list_log_degree,
    neighbour_log_degree,
)
from anchorrec_graph.diagnose.position import (
    alignment,
    item_alignment,
    item_paired_distance,
    item_reciprocal_rank,
    modality_gap,
    paired_distance_ratio,
    retrieval_mrr,
    uniformity,
)
from anchorrec_graph.diagnose.removal import (
    Value,
    metric_value,
    permutation_drops,
    removal_drops,
    shapley_values,
    with_views,
)
from anchorrec_graph.diagnose.structure import (
    item_coherence,
    item_overlap,
    item_trustworthiness,
    knn_overlap,
    linear_cka,
    neighbour_coherence,
    trustworthiness,
)

__all__ = [
    "Concentration",
    "Value",
    "absolute_shares",
    "alignment",
    "baseline_spaces",
    "concentration",
    "covariance_shares",
    "effective_rank",
    "group_means",
    "item_alignment",
    "item_coherence",
    "item_overlap",
    "item_paired_distance",
    "item_reciprocal_rank",
    "item_trustworthiness",
    "knn_overlap",
    "linear_cka",
    "list_log_degree",
    "metric_value",
    "modality_gap",
    "neighbour_coherence",
    "neighbour_log_degree",
    "pair_parts",
    "paired_distance_ratio",
    "participation_ratio",
    "permutation_drops",
    "popularity_quartiles",
    "ranking_shares",
    "removal_drops",
    "retrieval_mrr",
    "shapley_values",
    "singular_values",
    "stable_rank",
    "trustworthiness",
    "uniformity",
    "with_views",
]
