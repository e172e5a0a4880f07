"""Dominance by intervention: what the lists lose when a view is taken away or scrambled, without retraining.

The scale of every row stays that of the whole model, also where it scores by cosine. What is lost is
measured by a `Value`, which may hold many numbers at once: with one per user (`metric_value`), one pass
gives the result of every user, and means of it those of a segment and of the whole test set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import comb

import torch
from torch import Tensor

from anchorrec_graph.errors import ConfigError
from anchorrec_graph.evaluate import METRICS, Evaluator, Split, parse_metric
from anchorrec_graph.typing import Embeddings, View

Value = Callable[[Embeddings], Tensor]  # a tensor of one shape, whatever the views
MAX_VIEWS = 12


def metric_value(evaluator: Evaluator, split: Split, metric: str) -> Value:
    """The per-user metric [n] float64, such as Recall@20, of the users with held-out items, in their order.

    A model whose scores are all 0 by missing views recommends nothing and gets 0, not the value of the
    items that happen to come first.

    Raises:
        ConfigError: the evaluator does not compute the metric for each user.
    """
    if metric not in evaluator.config.metrics or parse_metric(metric).kind not in METRICS:
        raise ConfigError(
            f"{metric} is not a per-user metric of this evaluation; name one in evaluate.metrics"
        )

    def value(embeddings: Embeddings) -> Tensor:
        if not (embeddings.user.any() and embeddings.item.any()):
            return torch.zeros(len(evaluator.users(split)), dtype=torch.float64)
        per_user = evaluator.evaluate(embeddings, split).per_user[metric]
        return torch.from_numpy(per_user.to_numpy().copy())

    return value


def with_views(embeddings: Embeddings, names: Iterable[str]) -> Embeddings:
    """The model with these views only: final embeddings are their sum, zero without any."""
    views = {name: embeddings.views[name] for name in names}
    user, item = torch.zeros_like(embeddings.user), torch.zeros_like(embeddings.item)
    for view in views.values():
        user, item = user if view.user is None else user + view.user, item + view.item
    return Embeddings(user, item, views)


def removal_drops(embeddings: Embeddings, value: Value) -> dict[str, Tensor]:
    """v(all views) - v(all but m) of every view m. Negative if the model is better without the view."""
    whole = value(embeddings)
    return {
        name: whole - value(with_views(embeddings, (other for other in embeddings.views if other != name)))
        for name in embeddings.views
    }


def permutation_drops(embeddings: Embeddings, value: Value, generator: torch.Generator) -> dict[str, Tensor]:
    """v(all views) - v(item rows of view m permuted) of every view m; users stay as they are.

    Permutation importance (Breiman 2001): unlike removal it keeps the distribution of the view, and takes
    only its tie to the items. One permutation per view, in the order of the views; repeat it
    for the noise of the draw.
    """
    whole, drops = value(embeddings), {}
    for name, view in embeddings.views.items():
        order = torch.randperm(len(view.item), generator=generator)
        views = {**embeddings.views, name: View(view.user, view.item[order])}
        drops[name] = whole - value(with_views(embeddings._replace(views=views), views))
    return drops


def shapley_values(embeddings: Embeddings, value: Value) -> dict[str, Tensor]:
    r"""The exact Shapley value of every view m in the game v, Shapley 1953, over subsets S of the M views:

    .. math:: \phi_m = \sum_{S \not\ni m} \frac{|S|! \, (M - |S| - 1)!}{M!} \, (v(S \cup m) - v(S))

    They sum to v(all) - v(none), for every entry of the value. Takes 2^M evaluations of `value`.

    Raises:
        ConfigError: more than 12 views.
    """
    names = list(embeddings.views)
    if len(names) > MAX_VIEWS:
        raise ConfigError(
            f"exact Shapley values of {len(names)} views take 2^{len(names)} evaluations; they are given for "
            f"at most {MAX_VIEWS} views (add some views up, or use removal_drops)"
        )
    subsets = range(2 ** len(names))
    worth = [
        value(with_views(embeddings, (name for m, name in enumerate(names) if subset >> m & 1)))
        for subset in subsets
    ]
    result = {}
    for m, name in enumerate(names):
        gain = torch.zeros_like(worth[0])
        for subset in subsets:
            if not subset >> m & 1:
                orders = len(names) * comb(len(names) - 1, subset.bit_count())
                gain = gain + (worth[subset | 1 << m] - worth[subset]) / orders
        result[name] = gain
    return result
