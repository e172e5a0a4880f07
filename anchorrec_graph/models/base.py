"""`Recommender`: the extension point for models."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Annotated, NamedTuple

import torch
from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from anchorrec_graph.data.base import native_features
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.graph.graphs import Graphs, WholeGraphs
from anchorrec_graph.graph.subgraph import Reach
from anchorrec_graph.losses.ranking import RANKING_LOSSES, BPRConfig, RankingLossConfig
from anchorrec_graph.nn.attachment import Attachment
from anchorrec_graph.nn.fold_in import FoldIn
from anchorrec_graph.nn.history import HistoryConfig
from anchorrec_graph.nn.sharded_table import ShardedTable
from anchorrec_graph.registry import Registry, registered
from anchorrec_graph.settings import Settings, check_names
from anchorrec_graph.typing import Batch, Embeddings

ID, POPULARITY, HISTORY = "id", "popularity", "history"  # views that are no modality, of several models


class ModelConfig(Settings):
    """Settings of a model. Subclasses give `name` a literal default and register it."""

    name: str


class EmbeddingModelConfig(ModelConfig):
    """Settings that every model with learned embeddings has; any ranking loss fits any of them."""

    embedding_dim: PositiveInt = 64
    loss: Annotated[RankingLossConfig, *registered(RANKING_LOSSES)] = BPRConfig()
    popularity_weight: NonNegativeFloat = 0.0  # of log(1 + number of training users) in the logits
    history: HistoryConfig = HistoryConfig()


class Recommender(nn.Module, ABC):
    """A model is built as `cls(config, data)` and turned into embeddings by `encode`.

    `data` is the container of `DatasetConfig.load`; a model reads its training
    edges and features, never its held-out edges.
    """

    @abstractmethod
    def encode(self) -> Embeddings:
        """Final embeddings in evaluation, and the views that they are the sum of."""

    def final(self) -> Embeddings:
        """`encode` to the bit, without views: what ranks. A model may make them one at a time here."""
        return self.encode()._replace(views={})

    @abstractmethod
    def loss_terms(self, batch: Batch) -> dict[str, Tensor]:
        """Named scalars, weights applied. Training minimises their sum and logs each.

        A model that learns nothing by gradient returns an empty dict and has no parameters.
        """

    def start_epoch(self, generator: torch.Generator) -> None:
        """Called before each training epoch, for models that draw something new for it."""

    def user_parts(self, user: int, items: Tensor) -> dict[str, Tensor]:  # noqa: ARG002
        """What a user's row of every view is the sum of, exactly: [1 + n, d] for each view with users.

        The first row is the user's own (its table row, a prior, a bias), the others are what the last step
        of propagation brings from each of its n training `items`, ascending. What reached an item before
        that, also through other users, is part of the item. A model whose users are not linear in
        their items must refuse; for a constant per user, such as a length, they count as linear.

        Raises:
            ConfigError: the model or its backbone has no such parts.
        """
        raise ConfigError(
            f"{type(self).__name__} does not say what each purchase adds to a user (Recommender.user_parts)"
        )

    def fold_in(self) -> FoldIn:
        """How a user who did not train is made from items (`FoldIn`).

        Raises:
            ConfigError: the model or its backbone cannot make one without training again.
        """
        raise ConfigError(
            f"{type(self).__name__} does not say how a user is made from items alone (Recommender.fold_in); "
            "only users of its training data can be served"
        )

    def attachment(self, data: HeteroData) -> Attachment:  # noqa: ARG002
        """How an item without interactions gets its rows from its features (`Attachment`).

        Args:
            data: what the model was built on.

        Raises:
            ConfigError: the model cannot place one without training again.
        """
        raise ConfigError(
            f"{type(self).__name__} does not say where a new item goes (Recommender.attachment); train again "
            "with the item in the data, or take anchorrec"
        )


class Propagated(NamedTuple):
    """What the loss reads of a model's tables after they travelled over its graphs."""

    user: Tensor  # [U, d] final
    item: Tensor  # [I, d] final
    views: Mapping[str, Tensor]  # [I, d] each, where loss terms read single views
    user_ids: Tensor | None = None  # [U] rows of the user table, where it has only part of them
    item_ids: Tensor | None = None  # [I] the same of the item table


class PropagatingRecommender(Recommender):
    """A model whose batches all read one propagation, so that several of them can share it.

    With `train.batches_per_step` above 1 the trainer propagates once per step, collects the gradients of the
    batches on the result, and goes back through the graphs once (`train.gradient`).
    """

    @abstractmethod
    def propagated(self) -> Propagated:
        """The part of the loss that no batch changes."""

    @abstractmethod
    def batch_terms(self, propagated: Propagated, batch: Batch) -> dict[str, Tensor]:
        """`loss_terms` of a batch; may also read parameters that do not travel."""

    def loss_terms(self, batch: Batch) -> dict[str, Tensor]:
        return self.batch_terms(self.propagated(), batch)


class SampledRecommender(PropagatingRecommender):
    """A propagating model that also runs over the part of its graphs that a batch reaches.

    With `train.mode: sampled` every batch draws its neighbours as far as the model's `Reach` says. With all
    neighbours drawn the loss is that of the whole graphs; with some of them it is an estimate.
    """

    @abstractmethod
    def whole(self) -> WholeGraphs:
        """All that the model propagates over."""

    @abstractmethod
    def prepare_sampling(self) -> Reach:
        """Which neighbours the rows of a batch's users and items are made of; called once, before training.

        Raises:
            ConfigError: a setting needs the whole graphs in every step.
        """

    @abstractmethod
    def propagated_over(self, graphs: Graphs) -> Propagated:
        """`propagated` over these graphs, with a row for each user and item that they are asked for."""

    def propagated(self) -> Propagated:
        return self.propagated_over(self.whole())


MODELS: Registry[type[Recommender]] = Registry("model")


def build_model(config: ModelConfig, data: HeteroData) -> Recommender:
    """The registered model that `config` names, on this data."""
    return MODELS[config.name](config, data)


def not_linear(model: str, reason: str) -> ConfigError:
    """The error of `Recommender.user_parts` for a model whose users are not linear in their items."""
    return ConfigError(f"{model}: a user is no sum over its purchases: {reason}")


def xavier_table(num_rows: int, embedding_dim: int) -> nn.Embedding:
    """An embedding table [num_rows, embedding_dim] with xavier-uniform entries."""
    table = nn.Embedding(num_rows, embedding_dim)
    nn.init.xavier_uniform_(table.weight)
    return table


def table_rows(table: nn.Embedding | ShardedTable, ids: Tensor | None) -> Tensor:
    """The rows of a table that `ids` names; None: all, of a cut table without a gradient."""
    if ids is None:
        return table.whole() if isinstance(table, ShardedTable) else table.weight
    rows: Tensor = table(ids)
    return rows


def global_ids(ids: Tensor | None, rows: Tensor) -> Tensor:
    """Which table rows the `rows` of a `Propagated` are, by its `user_ids` or `item_ids`."""
    return rows if ids is None else ids[rows]


def item_features(data: HeteroData, model: str, *views: str, as_stored: bool = False) -> dict[str, Tensor]:
    """The native features [I, D_m] of every modality of the data, in its order.

    Args:
        model: its name.
        views: names that it has for views which are no modality.
        as_stored: half floats of a memory map as they are; the model reads them in blocks.

    Raises:
        ConfigError: there is no modality, or one has a name that the model needs itself.
    """
    if not data.modalities:
        raise ConfigError(f"{model} needs a modality, and the data set has none; try model lightgcn")
    for name in data.modalities:
        if name in (POPULARITY, HISTORY, *views) or hasattr(nn.ModuleDict(), name):
            raise ConfigError(f"a modality is named '{name}', a name that {model} uses itself; rename it")
    return {m: data["item"][m] for m in data.modalities} if as_stored else native_features(data)


def modality_shares(
    setting: str, shares: Mapping[str, float] | None, modalities: Iterable[str]
) -> dict[str, float]:
    """The shares above 0 in `model.<setting>`, or for None equal ones that add up to 1.

    Raises:
        ConfigError: a name that the data does not have, or no share above 0.
    """
    modalities = list(modalities)
    if shares is None:
        return dict.fromkeys(modalities, 1 / len(modalities))
    check_names(f"model.{setting}", "modality", shares, modalities)
    used = {name: share for name, share in shares.items() if share > 0}
    if not used:
        raise ConfigError(f"model.{setting}: give a share above 0 to one of {', '.join(modalities)}")
    return used
