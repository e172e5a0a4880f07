"""Anchored alignment: every view is tied to one of them, the anchor, through projections alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, model_validator
from torch import Tensor, nn

from anchorrec_graph.errors import ConfigError
from anchorrec_graph.losses.contrastive import info_nce
from anchorrec_graph.nn.projection import linear_head, mlp_head
from anchorrec_graph.settings import Settings, check_names

HEADS: dict[str, Callable[[int, int], nn.Module]] = {
    "mlp": mlp_head,
    "linear": linear_head,
    "none": lambda _in, _out: nn.Identity(),
}


class AlignTerm(Settings):
    """One InfoNCE from the anchor to a mixture of projected views, for example {image: .25, text: .75}."""

    targets: Annotated[dict[str, PositiveFloat], Field(min_length=1)]
    weight: NonNegativeFloat = 1.0
    detach_anchor: bool = False


class AlignConfig(Settings):
    """How the views are tied to the anchor."""

    anchor: str | None = (
        None  # the view that the others are aligned to: id or a modality; None: the fused one
    )
    weight: NonNegativeFloat = 0.1
    temperature: PositiveFloat = 0.2
    head: Literal["mlp", "linear", "none"] = "mlp"  # "none": the views themselves are aligned
    source: Literal["view", "feature"] = "view"  # what a modality's head reads; id and anchor read views
    terms: tuple[AlignTerm, ...] | None = None  # None: one term for each other view

    @model_validator(mode="after")
    def _views_without_head(self) -> AlignConfig:
        if self.head == "none" and self.source == "feature":
            raise ValueError("align.head 'none' needs align.source 'view': raw features differ in width")
        return self

    def resolved(self, fused: str, views: Sequence[str]) -> tuple[str, tuple[AlignTerm, ...]]:
        """The anchor, and the configured terms, or one for each of the other `views`.

        Raises:
            ConfigError: a name is none of the views, or the anchor is its own target.
        """
        anchor = fused if self.anchor is None else self.anchor
        check_names("model.align.anchor", "view", [anchor], views)
        if self.terms is None:
            return anchor, tuple(AlignTerm(targets={m: 1.0}) for m in views if m != anchor)
        for term in self.terms:
            check_names("model.align.terms", "view", term.targets, views)
            if anchor in term.targets:
                raise ConfigError(f"model.align.terms: '{anchor}' is the anchor and cannot be its own target")
        return anchor, self.terms


class AnchorHeads(nn.ModuleDict):
    r"""Projections W_m of views (or features) to the width of the anchor, and the loss that uses them:

    .. math::
        \ell = \sum_t w_t\, \mathrm{NCE}\big(W_a(q^a) \to \sum_m \beta_{tm} W_m(x^m)\big)

    over the terms t, with the anchor a and the targets :math:`\beta_t` of a term (`info_nce`). No view is
    compared with another but through its projection, so each keeps its own space.

    Args:
        dim: width of every view.
        feature_widths: of the views that have features, which a target is with `source` "feature".
        also: views that get a head although no term names them.
    """

    def __init__(
        self,
        config: AlignConfig,
        anchor: str,
        terms: tuple[AlignTerm, ...],
        dim: int,
        feature_widths: Mapping[str, int],
        also: tuple[str, ...] = (),
    ) -> None:
        targets = dict.fromkeys(m for term in terms for m in term.targets)
        read = [m for m in targets if m in feature_widths] if config.source == "feature" else []
        widths = {m: feature_widths[m] if m in read else dim for m in (anchor, *also, *targets)}
        super().__init__({m: HEADS[config.head](width, dim) for m, width in widths.items()})
        self.anchor, self.terms, self.temperature = anchor, terms, config.temperature
        self.read_features = frozenset(read)

    def loss(
        self, views: Callable[[str], Tensor], features: Callable[[str], Tensor], count: Tensor
    ) -> Tensor:
        """The sum over terms.

        Args:
            views: a view's name -> its rows of the batch's b distinct items [b, dim].
            features: the same of its features [b, width].
            count: how often each item occurs in the batch [b].
        """

        def source(name: str) -> Tensor:
            return features(name).detach() if name in self.read_features else views(name)

        query, total = self[self.anchor](views(self.anchor)), torch.zeros(())
        for term in self.terms:
            key = sum((share * self[m](source(m)) for m, share in term.targets.items()), torch.zeros(()))
            detached = query.detach() if term.detach_anchor else query
            total = total + term.weight * info_nce(detached, key, count, self.temperature)
        return total
