"""The rules of models that are about loss, gradient and learning."""

from __future__ import annotations

import torch
from torch import Tensor

from anchorrec_graph.models.base import PropagatingRecommender, Recommender
from anchorrec_graph.testing.model_case import ModelCase, embeddings_of
from anchorrec_graph.testing.rules import SUM_TOLERANCE, check_equal, require
from anchorrec_graph.train.gradient import add_gradient
from anchorrec_graph.typing import Batch

STEPS, STEP_SIZES = 3, (1e-1, 1e-2, 1e-3, 1e-4)  # of the parameters' length


def trainable(model: Recommender) -> dict[str, Tensor]:
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def loss_terms_rule(case: ModelCase) -> None:
    model = case.build()
    terms = model.loss_terms(case.batch)
    require(isinstance(terms, dict), f"loss_terms returns {type(terms).__name__}")
    for name, term in terms.items():
        require(isinstance(name, str) and bool(name), f"a term's name is {name!r}")
        require(isinstance(term, Tensor) and term.dim() == 0, f"term '{name}' is not a scalar tensor")
        require(term.is_floating_point(), f"term '{name}' is {term.dtype}")
        require(bool(torch.isfinite(term)), f"term '{name}' is {term.item()}")
    trained = list(trainable(model))
    require(bool(terms) or not trained, f"there are no terms to train {', '.join(trained[:3])}")
    require(bool(trained) or not terms, "there are terms but no trainable parameters")


def gradients_rule(case: ModelCase) -> None:
    model = case.build()
    parameters = trainable(model)
    if not parameters:
        return
    loss = case.loss(model)
    require(loss.requires_grad, "the sum of the terms depends on no parameter")
    loss.backward()
    for name, parameter in parameters.items():
        if parameter.grad is not None:
            require(bool(torch.isfinite(parameter.grad).all()), f"the gradient of '{name}' is not finite")
        elif _moves_embeddings(model, parameter):
            raise AssertionError(f"encode depends on '{name}', but no loss term does")


def shared_propagation_rule(case: ModelCase) -> None:
    """`train.gradient`: what two batches that share a propagation give, against each on its own."""
    parts = [Batch(*(part[place::2] for part in case.batch)) for place in (0, 1)]
    found, expected = case.build(), case.build()
    if not isinstance(found, PropagatingRecommender):
        return
    torch.manual_seed(0)
    values = add_gradient(found, parts)
    torch.manual_seed(0)
    terms = []
    for part in parts:  # each as an epoch's first: all batches of a step read what its first one makes
        expected.start_epoch(torch.Generator().manual_seed(0))
        terms.append(expected.loss_terms(part))
    torch.stack([term.double() / len(parts) for one in terms for term in one.values()]).sum().backward()
    for name, value in values.items():
        mean = torch.stack([one[name].detach().double() for one in terms]).mean()
        check_equal(f"term '{name}' of two batches", torch.tensor(value).double(), mean, SUM_TOLERANCE)
    for (name, ours), theirs in zip(trainable(found).items(), trainable(expected).values(), strict=True):
        require((ours.grad is None) == (theirs.grad is None), f"'{name}' has a gradient in one way only")
        if ours.grad is not None and theirs.grad is not None:
            check_equal(f"the gradient of '{name}' of two batches", ours.grad, theirs.grad, SUM_TOLERANCE)


def _moves_embeddings(model: Recommender, parameter: Tensor) -> bool:
    before = embeddings_of(model)
    kept = parameter.detach().clone()
    with torch.no_grad():
        parameter.add_(torch.randn_like(parameter))
        after = embeddings_of(model)
        parameter.copy_(kept)
    return not (torch.equal(before.user, after.user) and torch.equal(before.item, after.item))


def descend(case: ModelCase, model: Recommender, step_size: float) -> None:
    """`STEPS` gradient steps on the fixed batch, each `step_size` of the parameters' length."""
    parameters = list(trainable(model).values())
    for _ in range(STEPS):
        gradients = torch.autograd.grad(case.loss(model), parameters, allow_unused=True)
        pairs = [(p, g) for p, g in zip(parameters, gradients, strict=True) if g is not None]
        size = torch.stack([p.detach().square().sum() for p, _ in pairs]).sum().sqrt().clamp(min=1e-3)
        slope = torch.stack([g.square().sum() for _, g in pairs]).sum().sqrt().clamp(min=1e-12)
        with torch.no_grad():
            for parameter, gradient in pairs:
                parameter.sub_(step_size * size / slope * gradient)


def learns_rule(case: ModelCase) -> None:
    model = case.build()
    if not trainable(model):
        return
    before = float(case.loss(model).detach())
    after = []
    for step_size in STEP_SIZES:
        trained = case.build()
        descend(case, trained, step_size)
        after.append(float(case.loss(trained).detach()))
        if after[-1] < before:
            return
    raise AssertionError(f"{STEPS} steps against the gradient take the loss from {before:.6g} to {after}")
