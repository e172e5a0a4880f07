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
from anchorrec_graph.models.base import MODELS, build_model
from anchorrec_graph.testing.model_case import ModelCase, batch_of, embeddings_of
from anchorrec_graph.testing.rules import SUM_TOLERANCE, check_equal, check_finite, require
from anchorrec_graph.testing.training_rules import (
    descend,
    gradients_rule,
    learns_rule,
    loss_terms_rule,
    shared_propagation_rule,
    trainable,
)
from anchorrec_graph.typing import Embeddings

PARTS_OF = 30  # users


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


def _final(case: ModelCase) -> None:
    model = case.build()
    expected = embeddings_of(model)
    with torch.no_grad():
        found = model.eval().final()
    _check_same("of final, against encode's", found, expected)
    require(not found.views, f"final has views: {', '.join(found.views)}")


def _same_seed(case: ModelCase) -> None:
    first, second = case.build(seed=3), case.build(seed=3)
    _check_same("of a second model with that seed", embeddings_of(second), embeddings_of(first))
    check_equal("the loss of a second model with that seed", case.loss(second), case.loss(first))


def _copies(case: ModelCase) -> None:
    model = case.build()
    if trainable(model):
        descend(case, model, 1e-2)
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
    if trainable(model):
        descend(case, model, 1e-1)
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
    "final is encode without its views": _final,
    "loss terms are named, finite scalars": loss_terms_rule,
    "every parameter that encode depends on gets a gradient": gradients_rule,
    "batches that share a propagation give the same gradient": shared_propagation_rule,
    "the same seed gives the same loss": _same_seed,
    "gradient steps lower the loss of a fixed batch": learns_rule,
    "deepcopy and state_dict keep the embeddings": _copies,
    "held-out edges change nothing": _held_out,
    "training leaves the data as it is": _data_kept,
    "nodes without training edges and zero features stay finite": _gaps,
}
