"""The rules that every model keeps."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
import yaml
from torch import Tensor

from anchorrec_graph.data.base import INTERACTS
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.graph.bipartite import train_graph
from anchorrec_graph.models.base import MODELS, PropagatingRecommender, Recommender, build_model
from anchorrec_graph.testing.model_case import ModelCase, batch_of, embeddings_of
from anchorrec_graph.testing.rules import check_equal, check_finite, require
from anchorrec_graph.train.gradient import add_gradient
from anchorrec_graph.typing import Batch, Embeddings

SUM_TOLERANCE = 1e-5
PARTS_OF = 30  # users
STEPS, STEP_SIZES = 3, (1e-1, 1e-2, 1e-3, 1e-4)  # of the parameters' length


def _trainable(model: Recommender) -> dict[str, Tensor]:
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def _check_same(what: str, found: Embeddings, expected: Embeddings) -> None:
    check_equal(f"users {what}", found.user, expected.user)
    check_equal(f"items {what}", found.item, expected.item)


def _settings(case: ModelCase) -> None:
    values = yaml.safe_load(yaml.safe_dump(case.config.model_dump(mode="json")))
    for read in (type(case.config).model_validate(values), MODELS.parse(values)):
        require(read == case.config, f"read back from YAML it is {read!r}")


def _shapes(case: ModelCase) -> None:
    embeddings = embeddings_of(case.build())
    require(isinstance(embeddings, Embeddings), f"encode returns {type(embeddings).__name__}")
    _, num_users, num_items = train_graph(case.data)
    for side, values, rows in (("user", embeddings.user, num_users), ("item", embeddings.item, num_items)):
        require(values.dim() == 2, f"{side} embeddings have shape {list(values.shape)}, not [{rows}, d]")
        require(len(values) == rows, f"{side} embeddings have {len(values)} rows, not {rows}")
        require(values.is_floating_point(), f"{side} embeddings are {values.dtype}")
        check_finite(f"the {side} embeddings", values)
    widths = embeddings.user.shape[1], embeddings.item.shape[1]
    require(widths[0] == widths[1], f"user and item embeddings have width {widths[0]} and {widths[1]}")


def _views(case: ModelCase) -> None:
    user, item, views = embeddings_of(case.build())
    require(len(views) > 0, "there is no view")
    require(all(isinstance(name, str) and name for name in views), f"the names are {list(views)}")
    users = [view.user for view in views.values() if view.user is not None]
    for view in views.values():
        require(view.item.shape == item.shape, f"a view of the items has shape {list(view.item.shape)}")
        require(view.user is None or view.user.shape == user.shape, "a view of the users has another shape")
    require(len(users) > 0, "no view has users")
    check_equal("the sum of the views' users", torch.stack(users).sum(0), user, SUM_TOLERANCE)
    items = torch.stack([view.item for view in views.values()]).sum(0)
    check_equal("the sum of the views' items", items, item, SUM_TOLERANCE)


def _scores(case: ModelCase) -> None:
    embeddings = embeddings_of(case.build())
    scores = embeddings.scores(torch.arange(len(embeddings.user)))
    check_finite("the score matrix", scores)


def _encode_twice(case: ModelCase) -> None:
    model = case.build()
    first = embeddings_of(model)
    torch.manual_seed(1)
    _check_same("of the second call", embeddings_of(model), first)


def _loss_terms(case: ModelCase) -> None:
    model = case.build()
    terms = model.loss_terms(case.batch)
    require(isinstance(terms, dict), f"loss_terms returns {type(terms).__name__}")
    for name, term in terms.items():
        require(isinstance(name, str) and bool(name), f"a term's name is {name!r}")
        require(isinstance(term, Tensor) and term.dim() == 0, f"term '{name}' is not a scalar tensor")
        require(term.is_floating_point(), f"term '{name}' is {term.dtype}")
        require(bool(torch.isfinite(term)), f"term '{name}' is {term.item()}")
    trained = list(_trainable(model))
    require(bool(terms) or not trained, f"there are no terms to train {', '.join(trained[:3])}")
    require(bool(trained) or not terms, "there are terms but no trainable parameters")


def _gradients(case: ModelCase) -> None:
    model = case.build()
    parameters = _trainable(model)
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


def _shared_propagation(case: ModelCase) -> None:
    """`train.gradient`: what two batches that share a propagation give, against each on its own."""
    parts = [Batch(*(part[place::2] for part in case.batch)) for place in (0, 1)]
    found, expected = case.build(), case.build()
    if not isinstance(found, PropagatingRecommender):
        return
    torch.manual_seed(0)
    values = add_gradient(found, parts)
    torch.manual_seed(0)
    terms = [expected.loss_terms(part) for part in parts]
    torch.stack([term.double() / len(parts) for one in terms for term in one.values()]).sum().backward()
    for name, value in values.items():
        mean = torch.stack([one[name].detach().double() for one in terms]).mean()
        check_equal(f"term '{name}' of two batches", torch.tensor(value).double(), mean, SUM_TOLERANCE)
    for (name, ours), theirs in zip(_trainable(found).items(), _trainable(expected).values(), strict=True):
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


def _same_seed(case: ModelCase) -> None:
    first, second = case.build(seed=3), case.build(seed=3)
    _check_same("of a second model with that seed", embeddings_of(second), embeddings_of(first))
    check_equal("the loss of a second model with that seed", case.loss(second), case.loss(first))


def _descend(case: ModelCase, model: Recommender, step_size: float) -> None:
    """`STEPS` gradient steps on the fixed batch, each `step_size` of the parameters' length."""
    parameters = list(_trainable(model).values())
    for _ in range(STEPS):
        gradients = torch.autograd.grad(case.loss(model), parameters, allow_unused=True)
        pairs = [(p, g) for p, g in zip(parameters, gradients, strict=True) if g is not None]
        size = torch.stack([p.detach().square().sum() for p, _ in pairs]).sum().sqrt().clamp(min=1e-3)
        slope = torch.stack([g.square().sum() for _, g in pairs]).sum().sqrt().clamp(min=1e-12)
        with torch.no_grad():
            for parameter, gradient in pairs:
                parameter.sub_(step_size * size / slope * gradient)


def _learns(case: ModelCase) -> None:
    model = case.build()
    if not _trainable(model):
        return
    before = float(case.loss(model).detach())
    after = []
    for step_size in STEP_SIZES:
        trained = case.build()
        _descend(case, trained, step_size)
        after.append(float(case.loss(trained).detach()))
        if after[-1] < before:
            return
    raise AssertionError(f"{STEPS} steps against the gradient take the loss from {before:.6g} to {after}")


def _copies(case: ModelCase) -> None:
    model = case.build()
    if _trainable(model):
        _descend(case, model, 1e-2)
    expected = embeddings_of(model)
    twin = copy.deepcopy(model)
    _check_same("of a deepcopy", embeddings_of(twin), expected)
    loaded = case.build(seed=1)
    loaded.load_state_dict(model.state_dict())
    _check_same("after load_state_dict into a new model", embeddings_of(loaded), expected)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.add_(1.0)
    _check_same("of the model after its deepcopy changed", embeddings_of(model), expected)


def _held_out(case: ModelCase) -> None:
    expected = case.build()
    changed = copy.deepcopy(case.data)
    edges = changed[INTERACTS]
    validation = edges.get("val_edge_label_index", edges.edge_index[:, :0])
    test = edges.get("test_edge_label_index", edges.edge_index[:, :0])
    _, num_users, num_items = train_graph(changed)
    for name, pairs in (
        ("permuted", torch.stack([validation[0], validation[1].flip(0)])),
        ("taken from the test", test),
        ("left out", validation[:, :0]),
        ("drawn at random", torch.stack([torch.randint(n, (99,)) for n in (num_users, num_items)])),
    ):
        edges.val_edge_label_index = edges.test_edge_label_index = pairs
        model = case.build(changed)
        _check_same(f"with held-out edges {name}", embeddings_of(model), embeddings_of(expected))
        check_equal(f"the loss with held-out edges {name}", case.loss(model), case.loss(expected))


def _data_kept(case: ModelCase) -> None:
    data = copy.deepcopy(case.data)
    torch.manual_seed(0)
    model = build_model(case.config, data).train()
    if _trainable(model):
        _descend(case, model, 1e-1)
    embeddings_of(model)
    for name in case.data["item"].keys():  # noqa: SIM118  iterating a store gives its values
        if isinstance(case.data["item"][name], Tensor):
            check_equal(f"data['item']['{name}'] after training", data["item"][name], case.data["item"][name])
    kept = torch.equal(data[INTERACTS].edge_index, case.data[INTERACTS].edge_index)
    require(kept, "the training edges differ after training")


def _gaps(case: ModelCase) -> None:
    data = copy.deepcopy(case.data)
    user, item = data[INTERACTS].edge_index
    data[INTERACTS].edge_index = data[INTERACTS].edge_index[:, (user != user[0]) & (item != item[0])]
    for modality in data.modalities:
        data["item"][modality][item[0]] = 0
    model = case.build(data)
    embeddings = embeddings_of(model)
    check_finite("the user embeddings", embeddings.user)
    check_finite("the item embeddings", embeddings.item)
    loss = case._replace(batch=batch_of(data)).loss(model)
    require(bool(torch.isfinite(loss)), f"the loss is {loss.item()}")


def _user_parts(case: ModelCase) -> None:
    model, (edge_index, num_users, _) = case.build().eval(), train_graph(case.data)
    views = embeddings_of(model).views
    for user in range(min(num_users, PARTS_OF)):
        items = edge_index[1, edge_index[0] == user].sort().values
        try:
            with torch.no_grad():
                parts = model.eval().user_parts(user, items)
        except ConfigError:
            return
        with_users = {name: view.user for name, view in views.items() if view.user is not None}
        require(parts.keys() == with_users.keys(), f"parts of {list(parts)}, users in {list(with_users)}")
        for name, rows in with_users.items():
            found = parts[name]
            require(len(found) == 1 + len(items), f"{len(found)} rows of '{name}' for {len(items)} items")
            check_equal(f"the parts' sum of user {user} in '{name}'", found.sum(0), rows[user], SUM_TOLERANCE)


def _fold_in(case: ModelCase) -> None:
    """A user of training, folded in from the same items, differs only in what was the user's own."""
    model, (edge_index, num_users, _) = case.build().eval(), train_graph(case.data)
    bought = [edge_index[1, edge_index[0] == user].sort().values for user in range(min(num_users, PARTS_OF))]
    try:
        with torch.no_grad():
            fold, parts = (
                model.fold_in(),
                [model.user_parts(user, items) for user, items in enumerate(bought)],
            )
    except ConfigError:
        return
    for user, trained in enumerate(parts):
        found = fold.parts(bought[user])
        require(
            found.keys() == trained.keys(), f"fold_in has views {list(found)}, user_parts {list(trained)}"
        )
        length = 1.0
        if (
            fold.length is not None
        ):  # each is divided by the length of its own sum, which has another own part
            ours, theirs = (torch.cat([rows[name][1:] for name in fold.learned]) for rows in (found, trained))
            length = float(theirs.norm() / ours.norm().clamp(min=torch.finfo(ours.dtype).tiny))
        for name, rows in found.items():
            brought = rows[1:] * (length if name in fold.learned else 1.0)
            what = f"what purchases of user {user} bring in '{name}' when folded in"
            check_equal(what, brought, trained[name][1:], SUM_TOLERANCE)


MODEL_RULES: dict[str, Callable[[ModelCase], None]] = {
    "its settings survive YAML and are registered": _settings,
    "encode returns finite users [U, d] and items [I, d]": _shapes,
    "the views sum to the final embeddings": _views,
    "user_parts sum to the views' users, or are refused": _user_parts,
    "fold_in makes of a user's items what user_parts says, or is refused": _fold_in,
    "scores are finite": _scores,
    "encode in evaluation mode gives the same twice": _encode_twice,
    "loss terms are named, finite scalars": _loss_terms,
    "every parameter that encode depends on gets a gradient": _gradients,
    "batches that share a propagation give the same gradient": _shared_propagation,
    "the same seed gives the same loss": _same_seed,
    "gradient steps lower the loss of a fixed batch": _learns,
    "deepcopy and state_dict keep the embeddings": _copies,
    "held-out edges change nothing": _held_out,
    "training leaves the data as it is": _data_kept,
    "nodes without training edges and zero features stay finite": _gaps,
}
