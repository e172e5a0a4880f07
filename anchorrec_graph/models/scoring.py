"""`Scoring`: how a model with learned embeddings scores, and the ranking loss on those scores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.data import HeteroData

from anchorrec_graph.data.base import native_features
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.graph.bipartite import train_graph
from anchorrec_graph.losses.ranking import RANKING_LOSSES
from anchorrec_graph.models.base import HISTORY, POPULARITY, EmbeddingModelConfig
from anchorrec_graph.nn.attachment import Attachment
from anchorrec_graph.nn.exposure import level_of_new_items
from anchorrec_graph.nn.feature_ridge import fit_feature_ridge
from anchorrec_graph.nn.fold_in import FoldIn
from anchorrec_graph.nn.history import History
from anchorrec_graph.nn.likelihood import likeliest_weight
from anchorrec_graph.typing import Batch, Embeddings, View, in_columns

ITEM_BLOCK = 1_024  # items whose cosines with all others exist at a time


class Scoring(nn.Module):
    r"""The score of a user and an item, and `config.loss` on it. With the loss's temperature :math:`\tau`,

    .. math:: s(u, i) = \cos(F_u, F_i) + \tau \, (w \log(1 + n_i) + \langle h_u, h_i \rangle)

    or <F_u, F_i> + ... where the loss (BPR) does not score by direction; then :math:`\tau = 1`.

    n_i is the item's number of training users and w the setting `popularity_weight`. A softmax that
    scores by direction has no other place for popularity: the loss sees this prior, so embeddings need
    not learn it (logit adjustment, Menon et al., ICLR 2021). h is the frozen `History` view of the
    setting `history`; the loss does not see it. Both are views of their own, and 0 by default.
    """

    prior: Tensor | None  # [I] w log(1 + n_i), less its mean

    def __init__(self, config: EmbeddingModelConfig, data: HeteroData) -> None:
        super().__init__()
        self.ranking, self.num_users = config.loss, int(data["user"].num_nodes)
        self.num_items = int(data["item"].num_nodes)
        prior = None
        if config.popularity_weight:
            edge_index, _, _ = train_graph(data)
            log_users = torch.bincount(edge_index[1], minlength=self.num_items).log1p()
            prior = config.popularity_weight * (log_users - log_users.mean())
        self.register_buffer("prior", prior, persistent=False)
        self.history = History(config.history, data) if config.history.weight else None

    def loss(self, user: Tensor, item: Tensor, batch: Batch, item_ids: Tensor | None = None) -> Tensor:
        """The ranking loss of final embeddings user [U, d] and item [I, d] on a batch.

        Args:
            item_ids: [I] which items these are; None: all.
        """
        prior = self.prior if self.prior is None or item_ids is None else self.prior[item_ids]
        return self.ranking.loss(user, item, batch, prior, self.num_items)

    def check_sampled(self) -> None:
        """Refuse a loss that reads all items.

        Raises:
            ConfigError: naming losses that do not.
        """
        if self.ranking.every_item:
            others = [name for name in RANKING_LOSSES if not RANKING_LOSSES[name].every_item]
            raise ConfigError(
                f"model.loss '{self.ranking.name}' reads every item in every step, but train.mode 'sampled' "
                f"only what a batch reaches; take {' or '.join(others)}, or train.mode 'full'"
            )

    def embeddings(self, views: Mapping[str, View]) -> Embeddings:
        """The sum of the learned `views`, scaled as the loss scores; history and prior beside it."""
        total = sum_views(views)
        if self.ranking.cosine:
            total = to_cosine(total)
        for name, view in self._fixed_views().items():
            total = beside(total, name, view)
        return total

    def final(self, views: Iterable[tuple[str, View]]) -> Embeddings:
        """`embeddings` to the bit, without its views: each is let go before the next one is asked for."""
        user, item = torch.zeros(()), torch.zeros(())
        for _, view in views:
            user = user if view.user is None else user + view.user
            item = item + view.item
            del view
        total = Embeddings(user, item, {})
        del user, item
        if self.ranking.cosine:
            total = to_cosine(total)
        for view in self._fixed_views().values():
            total = Embeddings(*_in_further_columns(total, view), {})
        return total

    def _fixed_views(self) -> dict[str, View]:
        """History and popularity as parts of the score, in the order of their columns."""
        views = {} if self.history is None else {HISTORY: self.history()}
        if self.prior is not None:
            ones = self.prior.new_ones(self.num_users, 1)
            views[POPULARITY] = View(ones, self.prior.unsqueeze(1))
        scale = self.ranking.logit_scale
        return {name: View(view.user, view.item / scale) for name, view in views.items()}

    def user_parts(self, parts: Mapping[str, Tensor], items: Tensor) -> dict[str, Tensor]:
        """`Recommender.user_parts` of the final views, from those of the learned ones, [1 + n, d] each."""
        if self.ranking.cosine:
            row = torch.stack([part.sum(0) for part in parts.values()]).sum(0)
            length = row.norm().clamp(min=torch.finfo(row.dtype).tiny)
            parts = {name: part / length for name, part in parts.items()}
        rows = sum_views({name: View(part, part[:0]) for name, part in parts.items()})
        if self.history is not None:
            part = self.history.user_parts(items)
            rows = beside(rows, HISTORY, View(part, part[:0]))
        if self.prior is not None:
            part = functional.pad(self.prior.new_ones(1, 1), (0, 0, 0, len(items)))
            rows = beside(rows, POPULARITY, View(part, part[:0]))
        return {name: view.user for name, view in rows.views.items() if view.user is not None}

    def fold_in(self, sent: Mapping[str, Tensor], views: Mapping[str, View]) -> FoldIn:
        """`Recommender.fold_in` from the learned `views`, and what items send in those with users, [I, d]."""
        learned = tuple(sent)
        start, dim = self.columns(learned, next(iter(sent.values())).shape[1])
        if self.history is not None:
            sent = {**sent, HISTORY: self.history.purchase}
        own = {} if self.prior is None else {POPULARITY: self.prior.new_ones(1)}
        length = sum_views(views).user.norm(dim=1) if self.ranking.cosine else None
        return FoldIn(sent, own, start, dim, learned, length)

    def columns(self, learned: Iterable[str], width: int) -> tuple[dict[str, int], int]:
        """Where `embeddings` puts every view: its first column, and the number of columns."""
        start = dict.fromkeys(learned, 0)
        if self.history is not None:
            start[HISTORY] = width
            width += self.history.item.shape[1]
        if self.prior is not None:
            start[POPULARITY] = width
            width += 1
        return start, width

    def attached(self, learned: Attachment, final: Embeddings, data: HeteroData) -> Attachment:
        """An attachment that places the `learned` views, completed by history and popularity.

        Old items, each as if it were new, say how much their buyers count (`likeliest_weight`) and at what
        level new ones stand (`level_of_new_items`). Both are choices on training pairs. The level is part of
        the popularity view; without one there is none.

        Args:
            final: the embeddings of the model.
            data: what it was built on.
        """
        features = native_features(data)
        fixed = {name: view.item for name, view in self._fixed_views().items()}
        fits = {name: fit_feature_ridge(features, rows) for name, rows in fixed.items()}
        regressed = {name: fit.ridge for name, fit in fits.items()}
        if self.history is not None:
            learned = learned._replace(lent={**learned.lent, HISTORY: self.history.bought(data)})
        placed, borrowed = _as_if_new(learned, features, len(final.item))
        placed = torch.cat([placed, *(fit.left_out for fit in fits.values())], dim=1)
        pairs, scale = train_graph(data)[0], self.ranking.logit_scale
        for name, rows in borrowed.items():
            further = in_columns(rows, learned.start[name], learned.dim)
            weight = likeliest_weight(final.user, placed, further, pairs, scale)
            lent = {view: x * weight if view == name else x for view, x in learned.lent.items()}
            learned, placed = learned._replace(lent=lent), placed + weight * further
        if POPULARITY in fits:
            level = level_of_new_items(final.user, final.item, placed, pairs, scale)
            popularity = regressed[POPULARITY]
            regressed[POPULARITY] = popularity._replace(center=popularity.center + level)
        return learned._replace(regressed=regressed)


def _as_if_new(
    attachment: Attachment, features: Mapping[str, Tensor], num_items: int
) -> tuple[Tensor, dict[str, Tensor]]:
    """The learned rows [I, d] of old items placed as if they were new, and what they borrow, by view."""
    learned, borrowed = [], []
    for own in torch.arange(num_items).split(ITEM_BLOCK):
        views, lent = attachment.joined({m: x[own] for m, x in features.items()}, own)
        learned.append(torch.stack(list(views.values())).sum(0))
        borrowed.append(lent)
    return torch.cat(learned), {name: torch.cat([part[name] for part in borrowed]) for name in borrowed[0]}


def sum_views(views: Mapping[str, View]) -> Embeddings:
    """Final embeddings as the sum of their views."""
    user = sum((view.user for view in views.values() if view.user is not None), torch.zeros(()))
    item = sum((view.item for view in views.values()), torch.zeros(()))
    return Embeddings(user, item, views)


def to_cosine(embeddings: Embeddings) -> Embeddings:
    r"""Scale rows so that <user, item> is the cosine: :math:`F / \|F\|`, the views by the same factor.

    The views still sum to the final embeddings, so the score still decomposes exactly.
    """
    tiny = torch.finfo(embeddings.item.dtype).tiny
    by_user = 1 / embeddings.user.norm(dim=1, keepdim=True).clamp(min=tiny)
    by_item = 1 / embeddings.item.norm(dim=1, keepdim=True).clamp(min=tiny)
    views = {
        name: View(None if view.user is None else view.user * by_user, view.item * by_item)
        for name, view in embeddings.views.items()
    }
    return Embeddings(embeddings.user * by_user, embeddings.item * by_item, views)


def beside(embeddings: Embeddings, name: str, view: View) -> Embeddings:
    """One more view, in columns of its own, so that its scores add: [n, d] and [n, r] -> [n, d + r]."""
    before, added = embeddings.item.shape[1], view.item.shape[1]

    def pad(table: Tensor | None, left: int, right: int) -> Tensor | None:
        return None if table is None else functional.pad(table, (left, right))

    views = {
        other: View(pad(old.user, 0, added), functional.pad(old.item, (0, added)))
        for other, old in embeddings.views.items()
    }
    views[name] = View(pad(view.user, before, 0), functional.pad(view.item, (before, 0)))
    return Embeddings(*_in_further_columns(embeddings, view), views)


def _in_further_columns(embeddings: Embeddings, view: View) -> tuple[Tensor, Tensor]:
    """Final users and items with a view's columns at their right."""
    user, item = embeddings.user, torch.cat([embeddings.item, view.item], dim=1)
    if view.user is None:
        return functional.pad(user, (0, view.item.shape[1])), item
    return torch.cat([user, view.user], dim=1), item
