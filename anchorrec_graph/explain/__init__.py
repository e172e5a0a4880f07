"""Why a model shows a user an item: the score by view, by purchase, and what would be without them.

Modules, and not this package, are what other packages import from: the explainer needs them itself.
"""

from anchorrec_graph.explain.explainer import Explainer
from anchorrec_graph.explain.explanation import Explanation, Own, PairPart, Purchase, Similar, ViewPart
from anchorrec_graph.explain.parts import view_parts
from anchorrec_graph.explain.purchases import purchase_parts
from anchorrec_graph.explain.shapley import shapley_table

__all__ = [
    "Explainer",
    "Explanation",
    "Own",
    "PairPart",
    "Purchase",
    "Similar",
    "ViewPart",
    "purchase_parts",
    "shapley_table",
    "view_parts",
]
