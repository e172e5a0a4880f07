"""The gradient of one optimiser step: of a batch, of several that share a propagation, of all ranks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar, cast

import torch
from torch import Tensor, nn

from anchorrec_graph.graph.graphs import SampledBatch
from anchorrec_graph.models.base import (
    Propagated,
    PropagatingRecommender,
    Recommender,
    SampledRecommender,
)
from anchorrec_graph.train.ranks import Ranks, cut_weights
from anchorrec_graph.typing import Batch

Terms = dict[str, Tensor]
T = TypeVar("T")


def loss_terms(model: Recommender, batch: Batch | SampledBatch) -> Terms:
    """The model's loss on a batch, over the whole graphs or the batch's own."""
    if isinstance(batch, Batch):
        return model.loss_terms(batch)
    sampled = cast(SampledRecommender, model)  # the trainer makes such batches for no other
    return sampled.batch_terms(sampled.propagated_over(batch.graphs), batch.batch)


def add_gradient(
    model: Recommender, batches: Sequence[Batch | SampledBatch], count: int | None = None
) -> dict[str, float]:
    r"""Adds to the parameters' gradients that of the mean loss of n batches, and returns each term's mean.

    .. math:: \frac1n \sum_b \nabla_\theta \ell_b(P(\theta), \theta)
        = \frac1n \sum_b \partial_\theta \ell_b
        + \Big(\frac{\partial P}{\partial \theta}\Big)^{\!\top} \frac1n \sum_b \partial_P \ell_b

    With P the propagation of a `PropagatingRecommender` the right side is what is computed: the graphs are
    travelled once forward and once back for all batches, instead of once for each. Exact, up to rounding.
    The memory of a step is that of P, its gradient and one batch. Other models, and batches with graphs of
    their own, propagate for each batch.

    Args:
        batches: those of this process (`train.ranks`); there may be none.
        count: n, the batches of the step in all processes; default those given.
    """
    count = len(batches) if count is None else count
    whole = [batch for batch in batches if isinstance(batch, Batch)]
    if len(whole) < 2 or not isinstance(model, PropagatingRecommender):
        return _add(lambda batch: loss_terms(model, batch), batches, count)
    propagated = model.propagated()
    reached = [propagated.user, propagated.item, *propagated.views.values()]
    leaves = [tensor.detach().requires_grad_(tensor.requires_grad) for tensor in reached]
    detached = Propagated(leaves[0], leaves[1], dict(zip(propagated.views, leaves[2:], strict=True)))
    values = _add(lambda batch: model.batch_terms(detached, batch), whole, count)
    used = [
        (tensor, leaf.grad) for tensor, leaf in zip(reached, leaves, strict=True) if leaf.grad is not None
    ]
    torch.autograd.backward([tensor for tensor, _ in used], [gradient for _, gradient in used])
    return values


def _add(loss_terms: Callable[[T], Terms], batches: Sequence[T], count: int) -> dict[str, float]:
    totals: dict[str, float] = {}
    for batch in batches:
        terms = loss_terms(batch)
        for name, term in terms.items():
            totals[name] = totals.get(name, 0.0) + float(term.detach()) / count
        (torch.stack([term.double() for term in terms.values()]).sum() / count).backward()
    return totals


def sum_over_ranks(model: Recommender, terms: dict[str, float], ranks: Ranks) -> dict[str, float]:
    """Add up the ranks' parts of a step: gradients in place, and the terms' values, which are returned.

    A parameter that no rank's batches reached keeps no gradient, as in one process. Cut tables do not
    take part.
    """
    if ranks.size == 1:
        return terms
    cut = cut_weights(model)
    parameters = [parameter for name, parameter in model.named_parameters() if name not in cut]
    kinds = [None if p.grad is None else p.grad.is_sparse for p in parameters]
    parts = ranks.gather([terms, kinds])
    totals: dict[str, float] = {}
    for values, _ in parts:
        for name, value in values.items():
            totals[name] = totals.get(name, 0.0) + value
    used = []
    for parameter, found in zip(parameters, zip(*(kinds for _, kinds in parts), strict=True), strict=True):
        known = [sparse for sparse in found if sparse is not None]
        if known:
            parameter.grad = _gradient(parameter, sparse=all(known))
            used.append(parameter.grad)
    ranks.add(used)
    return totals


def _gradient(parameter: nn.Parameter, sparse: bool) -> Tensor:
    """The parameter's gradient, or zero, in the layout that all ranks give theirs."""
    if parameter.grad is None:
        no_rows = torch.empty(1, 0, dtype=torch.long), parameter.new_empty(0, *parameter.shape[1:])
        return torch.sparse_coo_tensor(*no_rows, parameter.shape) if sparse else torch.zeros_like(parameter)
    if sparse:
        return parameter.grad.coalesce()
    return parameter.grad.to_dense() if parameter.grad.is_sparse else parameter.grad
