"""The rules that every backbone keeps."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import NamedTuple

import torch
import yaml
from torch import Tensor

from anchorrec_graph.errors import ConfigError
from anchorrec_graph.graph.hops import Edges, Hops
from anchorrec_graph.graph.relation import Relation, normalized_relation
from anchorrec_graph.nn.backbone import BACKBONES, Backbone, BackboneConfig, build_backbone
from anchorrec_graph.testing.rules import check_equal, check_finite, require

NUM_NODES, ISOLATED, DIM = 12, 11, 16
TOLERANCE = 1e-5


class BackboneCase(NamedTuple):
    """A backbone's settings, and inputs for it: node 11 of the symmetric graph has no edge."""

    config: BackboneConfig
    x: Tensor  # [12, 16]
    row: Tensor  # [E] both directions of every edge
    column: Tensor  # [E]

    def build(self, seed: int = 0) -> Backbone:
        torch.manual_seed(seed)
        return build_backbone(self.config, DIM).eval()

    def graph(self) -> Relation:
        return normalised(self.row, self.column)


def backbone_case(config: BackboneConfig) -> BackboneCase:
    generator = torch.Generator().manual_seed(0)
    chosen = torch.rand(NUM_NODES, NUM_NODES, generator=generator).triu(1) > 0.6
    chosen[:, ISOLATED] = False
    one, other = torch.nonzero(chosen, as_tuple=True)
    x = torch.randn(NUM_NODES, DIM, generator=generator)
    return BackboneCase(config, x, torch.cat([one, other]), torch.cat([other, one]))


def normalised(row: Tensor, column: Tensor) -> Relation:
    return normalized_relation(row, column, torch.ones(len(row)), NUM_NODES)


def _settings(case: BackboneCase) -> None:
    values = yaml.safe_load(yaml.safe_dump(case.config.model_dump(mode="json")))
    require(BACKBONES.parse(values) == case.config, f"read back from YAML it is {BACKBONES.parse(values)!r}")


def _shape(case: BackboneCase) -> None:
    y = case.build()(case.x, case.graph())
    require(isinstance(y, Tensor), f"it returns {type(y).__name__}, not a tensor")
    require(y.shape == case.x.shape, f"[12, 16] becomes {list(y.shape)}")
    require(y.dtype == torch.float32, f"float32 becomes {y.dtype}")


def _finite(case: BackboneCase) -> None:
    y = case.build()(case.x, case.graph())
    check_finite("the output on a graph with an isolated node", y)


def _no_edges(case: BackboneCase) -> None:
    none = torch.empty(0, dtype=torch.int64)
    y = case.build()(case.x, normalised(none, none))
    require(y.shape == case.x.shape, f"[12, 16] becomes {list(y.shape)}")
    check_finite("the output on a graph without edges", y)


def _input_kept(case: BackboneCase) -> None:
    x, graph = case.x.clone(), case.graph()
    weight, edges = graph.weight.clone(), graph.edge_index.clone()
    case.build()(x, graph)
    check_equal("the input after the call", x, case.x)
    check_equal("the graph's weights after the call", graph.weight, weight)
    require(torch.equal(graph.edge_index, edges), "the graph's edges differ after the call")


def _gradient(case: BackboneCase) -> None:
    x = case.x.clone().requires_grad_()
    y = case.build().train()(x, case.graph())
    require(y.requires_grad, "the output does not depend on the input for autograd")
    (y * torch.randn(y.shape)).sum().backward()
    require(x.grad is not None and bool(x.grad.any()), "the input gets no gradient")
    check_finite("the input's gradient", x.grad if x.grad is not None else x)


def _deterministic(case: BackboneCase) -> None:
    backbone, graph = case.build(), case.graph()
    first = backbone(case.x, graph)
    torch.manual_seed(1)
    check_equal("the second call", backbone(case.x, graph), first)


def _copies(case: BackboneCase) -> None:
    backbone, graph = case.build(), case.graph()
    expected = backbone(case.x, graph)
    check_equal("a deepcopy's output", copy.deepcopy(backbone)(case.x, copy.deepcopy(graph)), expected)
    loaded = case.build(seed=1)
    loaded.load_state_dict(backbone.state_dict())
    check_equal("the output after load_state_dict", loaded(case.x, graph), expected)


def _equivariant(case: BackboneCase) -> None:
    backbone, new = case.build(), torch.randperm(NUM_NODES)  # new[i]: the new number of node i
    expected = backbone(case.x, case.graph())
    x = torch.empty_like(case.x)
    x[new] = case.x
    y = backbone(x, normalised(new[case.row], new[case.column]))
    check_equal("the output for renumbered nodes", y[new], expected, TOLERANCE)


def _direction(case: BackboneCase) -> None:
    """Over edges from lower to higher nodes only, what edges add to the gradients runs the same way."""
    source, target = case.row[case.row < case.column], case.column[case.row < case.column]
    size = (NUM_NODES, NUM_NODES)
    backbone = case.build()
    none = torch.empty(0, dtype=torch.int64)
    with_edges = _influence(backbone, case.x, Relation(target, source, torch.full((len(source),), 0.3), size))
    added = with_edges - _influence(backbone, case.x, Relation(none, none, torch.empty(0), size))
    strength = added.norm(dim=2)  # [target, source]
    along, against = float(strength.tril(-1).sum()), float(strength.triu(1).sum())
    require(
        against <= 0.5 * along,
        f"edges carry {along:.3g} from source to destination and {against:.3g} back; in a Relation rows are "
        "destinations: use graph(x), or graph.edge_index in PyG's order",
    )


def _influence(backbone: Backbone, x: Tensor, graph: Relation) -> Tensor:
    """[target, source, d] gradient of a random direction of each output row with respect to the input."""
    x = x.clone().requires_grad_()
    y = backbone(x, graph)
    probe = torch.randn(y.shape, generator=torch.Generator().manual_seed(0))
    rows = [
        torch.autograd.grad((y[node] * probe[node]).sum(), x, retain_graph=True)[0]
        for node in range(NUM_NODES)
    ]
    return torch.stack(rows)


def _row_parts(case: BackboneCase) -> None:
    backbone, graph = case.build(), case.graph()
    y = backbone(case.x, graph)
    for row in range(NUM_NODES):
        try:
            parts = backbone.row_parts(case.x, graph, row)
        except ConfigError:
            return
        neighbours = int((case.row == row).sum())
        require(len(parts) == 1 + neighbours, f"{len(parts)} parts of a node with {neighbours} neighbours")
        check_equal(f"the sum of the parts of node {row}", parts.sum(0), y[row], TOLERANCE)


def _along(case: BackboneCase) -> None:
    backbone, asked = case.build(), torch.tensor([2, 5, ISOLATED])
    try:
        count = backbone.num_hops()
    except ConfigError:
        return
    graph = case.graph()
    row, column = graph.edge_index.flip(0)
    hops = Hops.towards(asked, Edges(row, column, graph.weight), NUM_NODES, count)
    expected = backbone(case.x, graph)[asked]
    check_equal(f"the output along {count} hops", backbone.over(case.x, hops), expected, TOLERANCE)


BACKBONE_RULES: dict[str, Callable[[BackboneCase], None]] = {
    "its settings survive YAML and are registered": _settings,
    "it maps [n, d] to [n, d] in float32": _shape,
    "its output is finite, isolated nodes included": _finite,
    "its output is finite without edges": _no_edges,
    "it leaves its input and graph as they are": _input_kept,
    "the gradient reaches its input": _gradient,
    "it is deterministic in evaluation mode": _deterministic,
    "deepcopy and state_dict keep its output": _copies,
    "renumbering the nodes renumbers the output": _equivariant,
    "row_parts sum to its output, or are refused": _row_parts,
    "num_hops lead to its output, or are refused": _along,
    "messages travel from source to destination": _direction,
}
