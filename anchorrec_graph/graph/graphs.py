"""`Graphs`: what a model propagates over, all of it or the part that a batch reaches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, final

from torch import Tensor

from anchorrec_graph.graph.hops import Hops
from anchorrec_graph.graph.relation import Relation
from anchorrec_graph.typing import Batch


class Graphs(ABC):
    """Propagation from n users and m items to the a users and b items that are asked for."""

    num_users: int  # a
    user_item: Relation | Hops  # n + m -> a + b, users first
    user_from_item: Relation | None  # (a, v), where the model has it
    user_ids: Tensor | None  # [n] which rows of the user table propagation starts from; None: all
    item_ids: Tensor | None  # [m] the same of the item table
    asked_users: Tensor | None  # [a] which rows of the user table are asked for; None: all
    asked_items: Tensor | None  # [b] the same of the item table

    @abstractmethod
    def item_hops(self, modality: str, num_layers: int) -> Hops:
        """`num_layers` steps over an item graph, m -> v: to the items that are asked for, and to those that
        the users asked for gather, if they do."""

    @abstractmethod
    def asked(self, modality: str, view: Tensor) -> Tensor:
        """Of a modality's view of items [v, d] the rows of those asked for [b, d]."""

    def to_users(self, view: Tensor) -> Tensor:
        """One hop from the items of a view [v, d] to the users asked for [a, d].

        Raises:
            ValueError: users gather no view here.
        """
        if self.user_from_item is None:
            raise ValueError("graphs without user_from_item, or a Reach without to_users")
        rows: Tensor = self.user_from_item(view)
        return rows


@final
@dataclass(frozen=True, eq=False)  # tensors do not compare
class WholeGraphs(Graphs):
    """All users and items, from all to all."""

    num_users: int
    user_item: Relation
    user_from_item: Relation | None = None
    item_graphs: Mapping[str, Relation] = field(default_factory=dict)  # (m, m) by modality
    user_ids = item_ids = asked_users = asked_items = None

    def item_hops(self, modality: str, num_layers: int) -> Hops:
        return Hops.whole(self.item_graphs[modality], num_layers)

    def asked(self, modality: str, view: Tensor) -> Tensor:  # noqa: ARG002
        return view


@final
@dataclass(frozen=True, eq=False)  # tensors do not compare
class SampledGraphs(Graphs):
    """The drawn edges by which a batch's users and items, which are those asked for, are reached."""

    num_users: int
    user_item: Hops
    user_from_item: Relation | None
    item_graphs: Mapping[str, Hops]  # m -> v, by modality
    user_ids: Tensor
    item_ids: Tensor
    asked_users: Tensor
    asked_items: Tensor
    asked_rows: Mapping[str, Tensor]  # [b] which of the v items are asked for, by modality; not in it: all

    def item_hops(self, modality: str, num_layers: int) -> Hops:
        hops = self.item_graphs[modality]
        if len(hops.steps) != num_layers:
            raise ValueError(f"{num_layers} steps over '{modality}', where {len(hops.steps)} were drawn")
        return hops

    def asked(self, modality: str, view: Tensor) -> Tensor:
        rows = self.asked_rows.get(modality)
        return view if rows is None else view.index_select(0, rows)


class SampledBatch(NamedTuple):
    """A batch in the row numbers of the users and items that its graphs are asked for."""

    batch: Batch
    graphs: SampledGraphs
