"""The names of the measures in a diagnosis, their families, and how to read each."""

from __future__ import annotations

from typing import NamedTuple


class Measure(NamedTuple):
    """A row of a diagnosis carries its name."""

    family: str
    reads: str  # range and direction, in one line


FAMILIES = {
    "structure": "are an item's neighbours still the ones that its features give?",
    "position": "do the same items lie at the same place in two views?",
    "dimension": "over how many directions is a space spread?",
    "dominance": "which views are the scores made of, and what is lost without one?",
    "popularity": "are neighbours and recommended items the popular ones?",
}
MEASURES = {
    "overlap": Measure("structure", "nearest neighbours that both spaces share; 0 as by chance, 1 all"),
    "coherence": Measure("structure", "cosine of neighbours in the native features; see random and oracle"),
    "trustworthiness": Measure("structure", "neighbours are near in the features; .5 by chance, 1 all"),
    "cka": Measure("structure", "likeness of whole spaces; 1 a rotated copy, unrelated: see random, not 0"),
    "paired distance": Measure("position", "0: an item is no nearer to itself than to others; 1: one place"),
    "mrr": Measure("position", "items find themselves in the other view; 1 always first, chance: random"),
    "alignment": Measure("position", "squared distance of an item to itself; 0 one place, 2 unrelated"),
    "gap": Measure("position", "distance of the two clouds' centres; 0 one centre, 2 opposite points"),
    "uniformity": Measure("position", "0: all items in one direction; towards -4: spread evenly"),
    "effective rank": Measure("dimension", "directions in use; 0 a point, the space's width: all alike"),
    "participation ratio": Measure("dimension", "directions that share the variance; 0 a point"),
    "stable rank": Measure("dimension", "variance in units of the largest direction's; 0 a point"),
    "ranking share": Measure("dominance", "of what orders a user's items; sums to 1, below 0: works against"),
    "covariance share": Measure("dominance", "the same over held-out pairs, users' levels too; sums to 1"),
    "absolute share": Measure("dominance", "of the score's size over held-out pairs, whatever it ranks"),
    "recall": Measure("dominance", "Recall@20 of the whole model, on the split named below"),
    "shapley": Measure("dominance", "Recall@20 that a view adds, fairly shared; all views sum to recall"),
    "removal drop": Measure("dominance", "Recall@20 lost without the view, not retrained; 0: not needed"),
    "permutation drop": Measure("dominance", "Recall@20 lost when the view's items are shuffled"),
    "neighbour popularity": Measure("popularity", "log(1 + users) of neighbours; above random: popular hubs"),
    "list popularity": Measure("popularity", "log(1 + users) of recommended items; see random and oracle"),
    "gini": Measure("popularity", "0: all items recommended equally often; towards 1: a few fill the lists"),
    "coverage": Measure("popularity", "share of the items that are in some list; larger is broader"),
}
