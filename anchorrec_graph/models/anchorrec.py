"""AnchorRec: anchored alignment of modality views that each keep their own space (arXiv:2603.12726)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Literal, cast

import torch
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt, model_validator
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.data import HeteroData

from anchorrec_graph.encoders.fused import FUSED, FUSED_DIM, add_fused, fusion, reduce_features
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.graph.bipartite import (
    bipartite_relation,
    sent_to_strangers,
    train_graph,
    user_from_item_relation,
)
from anchorrec_graph.graph.graphs import Graphs, WholeGraphs
from anchorrec_graph.graph.knn import KnnConfig, knn_relation
from anchorrec_graph.graph.relation import Relation
from anchorrec_graph.graph.row_store import InMemory, OnDisk, RowStore
from anchorrec_graph.graph.subgraph import Reach
from anchorrec_graph.losses.margin import cosine_margin
from anchorrec_graph.losses.preservation import similarity_gap
from anchorrec_graph.losses.ranking import RANKING_LOSSES, FullSoftmaxConfig, RankingLossConfig
from anchorrec_graph.losses.regularization import squared_norm_penalty
from anchorrec_graph.models.base import (
    ID,
    MODELS,
    EmbeddingModelConfig,
    Propagated,
    SampledRecommender,
    global_ids,
    item_features,
    table_rows,
    xavier_table,
)
from anchorrec_graph.models.scoring import Scoring
from anchorrec_graph.nn.alignment import AlignConfig, AlignTerm, AnchorHeads
from anchorrec_graph.nn.attachment import Attachment, Neighbourhood
from anchorrec_graph.nn.backbone import BACKBONES, BackboneConfig, LightGCNBackboneConfig, build_backbone
from anchorrec_graph.nn.features import FeatureTable
from anchorrec_graph.nn.fold_in import FoldIn
from anchorrec_graph.nn.history import HistoryConfig
from anchorrec_graph.nn.preservation import PreserveConfig
from anchorrec_graph.nn.projection import mlp_head
from anchorrec_graph.nn.view import ModalityView, ViewStart
from anchorrec_graph.registry import registered
from anchorrec_graph.settings import check_names
from anchorrec_graph.typing import Batch, Embeddings, View

RECOVERED = "recovered"  # a view that is no modality


class AnchorRecConfig(EmbeddingModelConfig):
    name: Literal["anchorrec"] = "anchorrec"
    backbone: Annotated[BackboneConfig, *registered(BACKBONES)] = LightGCNBackboneConfig()
    fused: str = FUSED  # the modality that joins the others; built from them if the data has none
    feature_dim: PositiveInt | None = 256  # unit rows, reduced once to this width; None: raw features
    trainable_features: bool = False
    features_on_disk: bool = False  # reduced, fused and pooled rows as float16 memory maps in the cache
    knn: KnnConfig = KnnConfig()
    num_knn_layers: NonNegativeInt = 1
    view_start: ViewStart = "feature+id"
    score_views: tuple[str, ...] | None = None  # modalities in the score beside id; None: all
    loss: Annotated[RankingLossConfig, *registered(RANKING_LOSSES)] = FullSoftmaxConfig()
    popularity_weight: NonNegativeFloat = 0.6
    history: HistoryConfig = HistoryConfig(weight=30.0)
    l2_weight: NonNegativeFloat = 0.0
    margin_weight: NonNegativeFloat = 0.0
    align: AlignConfig = AlignConfig()
    preserve: PreserveConfig = PreserveConfig()
    smooth_weight: NonNegativeFloat = 0.0
    recover_weight: NonNegativeFloat = 0.0
    l2_batch_size: PositiveInt = 2048  # the divisor of l2, also in the last, smaller batch of an epoch

    @model_validator(mode="after")
    def _only_reduced_frozen_rows_on_disk(self) -> AnchorRecConfig:
        if self.features_on_disk and (self.feature_dim is None or self.trainable_features):
            raise ValueError(
                "features_on_disk is for reduced, frozen features: set feature_dim, and no trainable_features"
            )
        return self


@MODELS.register(AnchorRecConfig)
class AnchorRec(SampledRecommender):
    r"""Views of every modality in its own space, tied to an anchor only through projections.

    .. math::
        C &= \mathrm{backbone}([P; E]), \quad q^m = A_m^L q^m_0, \quad u^m = \hat R q^m \\
        F_u &= C_u + \sum_m u^m \\
        F_i &= C_i + \sum_m q^m_i + \rho D(W_f(q^f_i))

    with the sums over `score_views`, the fused modality f and the anchor a (f, if not set). `Scoring`
    makes scores of F, and adds the popularity prior and the frozen history view.
    Loss over a batch of triples (u, p, n): ranking + l2 + margin + align + preserve + smooth, each
    term's formula in its own file of `losses/`:

    - align: :math:`w_a \sum_t w_t\, \mathrm{NCE}(W_a(q^a_p) \to \sum_m \beta_m W_m(\cdot_p))`
    - preserve: :math:`w_p \sum_m w_m \|Q^m Q^{m\top} - \cos(x^m_p)\|_F / B`
    - smooth: :math:`w_s` times the mean of :math:`a_{ij} \|q^f_i - q^f_j\|^2` over the fused item graph

    Raises:
        ConfigError: the data has no modality, or a setting names one that it does not have.
    """

    def __init__(self, config: AnchorRecConfig, data: HeteroData) -> None:
        super().__init__()
        self.config, self.scoring = config, Scoring(config, data)
        edge_index, self.num_users, num_items = train_graph(data)
        on_disk = config.features_on_disk
        features = item_features(data, config.name, ID, RECOVERED, as_stored=on_disk)
        self.store: RowStore = OnDisk() if on_disk else InMemory()
        features = add_fused(features, config.fused, config.feature_dim, self.store)
        self.modalities = tuple(features)
        self.score_views = self.modalities if config.score_views is None else config.score_views
        anchor, terms = config.align.resolved(config.fused, (ID, *self.modalities))
        self._check_views(terms)
        self.preserved = config.preserve.weights(self.modalities)

        self.user_item = bipartite_relation(edge_index, self.num_users, num_items)
        self.user_from_item = user_from_item_relation(edge_index, self.num_users, num_items)
        self.item_graphs = nn.ModuleDict({m: knn_relation(x, config.knn) for m, x in features.items()})
        if config.feature_dim is not None:
            features = {m: reduce_features(x, config.feature_dim, self.store) for m, x in features.items()}
        self.features = nn.ModuleDict(
            {m: FeatureTable(x, config.trainable_features) for m, x in features.items()}
        )
        dim = config.embedding_dim
        self.user = xavier_table(self.num_users, dim)
        self.item = xavier_table(num_items, dim)
        self.backbone = build_backbone(config.backbone, dim)
        self.views = nn.ModuleDict(
            {
                m: ModalityView(x.shape[1], dim, config.view_start, config.num_knn_layers)
                for m, x in features.items()
            }
        )
        also = (config.fused,) if config.recover_weight else ()
        widths = {m: x.shape[1] for m, x in features.items()}
        self.heads = AnchorHeads(config.align, anchor, terms, dim, widths, also)
        self.decoder = mlp_head(dim, dim) if config.recover_weight else None

    def propagate(self, graphs: Graphs | None = None) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """The id view of users [a, d] and items [b, d], each modality's of items [v, d]; see `Graphs`."""
        graphs = self.whole() if graphs is None else graphs
        item = table_rows(self.item, graphs.item_ids)
        views = {m: self._view(m, item, graphs) for m in self.modalities}
        return *self._id_view(item, graphs), views

    def _id_view(self, item: Tensor, graphs: Graphs) -> tuple[Tensor, Tensor]:
        x = self.backbone.over(torch.cat([table_rows(self.user, graphs.user_ids), item]), graphs.user_item)
        return x[: graphs.num_users], x[graphs.num_users :]

    def _view(self, modality: str, item: Tensor, graphs: Graphs, num_layers: int | None = None) -> Tensor:
        view, table = cast(ModalityView, self.views[modality]), cast(FeatureTable, self.features[modality])
        hops = graphs.item_hops(modality, self.config.num_knn_layers if num_layers is None else num_layers)
        return view.over(table, item, hops, graphs.item_ids)

    def _recovered(self, decoder: nn.Module, fused: Tensor) -> Tensor:
        """The decoded projection of the fused view [I, d], weight applied."""
        recovered: Tensor = decoder(self.heads[self.config.fused](fused))
        return self.config.recover_weight * recovered

    def learned_views(self) -> Iterator[tuple[str, View]]:
        """The views in the score, before it scales them, one after the other."""
        graphs, table = self.whole(), table_rows(self.item, None)
        yield ID, View(*self._id_view(table, graphs))
        for m in self.score_views:
            item = self._view(m, table, graphs)
            yield m, View(self.user_from_item(item), item)
            del item  # before the next one is made
        if self.decoder is not None:
            fused = self._view(self.config.fused, table, graphs)
            yield RECOVERED, View(None, self._recovered(self.decoder, fused))

    def encode(self) -> Embeddings:
        return self.scoring.embeddings(dict(self.learned_views()))

    def final(self) -> Embeddings:
        return self.scoring.final(self.learned_views())

    def user_parts(self, user: int, items: Tensor) -> dict[str, Tensor]:
        x, (_, _, views) = torch.cat([self.user.weight, self.item.weight]), self.propagate()
        parts = {ID: self.backbone.row_parts(x, self.user_item, user)}
        for m in self.score_views:
            _, terms = self.user_from_item.terms(views[m], user)
            parts[m] = functional.pad(terms, (0, 0, 1, 0))  # nothing is the user's own
        return self.scoring.user_parts(parts, items)

    def fold_in(self) -> FoldIn:
        x, views = torch.cat([self.user.weight, self.item.weight]), dict(self.learned_views())
        sent = {m: view.item for m, view in views.items() if m != RECOVERED}
        sent[ID] = self.backbone.sent(x, self.user_item)[self.num_users :]
        return self.scoring.fold_in({m: sent_to_strangers(y, self.user_item) for m, y in sent.items()}, views)

    def attachment(self, data: HeteroData) -> Attachment:
        config = self.config
        if config.num_knn_layers == 0 or config.recover_weight:
            raise ConfigError(
                "AnchorRec attaches new items with model.num_knn_layers above 0 and model.recover_weight 0; "
                f"this model has {config.num_knn_layers} and {config.recover_weight}"
            )
        native = item_features(data, config.name, as_stored=config.features_on_disk)
        built = config.fused if config.fused not in native else None
        features = add_fused(native, config.fused, config.feature_dim, self.store)
        width = config.feature_dim or FUSED_DIM
        graphs = {}
        for m in self.score_views:
            # What the last step sends, which is what a new item would get.
            last = self._view(m, self.item.weight, self.whole(), config.num_knn_layers - 1)
            graphs[m] = Neighbourhood.of(features[m], config.knn, last)
        start, dim = self.scoring.columns((ID, *self.score_views), config.embedding_dim)
        learned = Attachment(
            knn=config.knn,
            graphs=graphs,
            id_view=ID,
            lent={ID: self._id_view(self.item.weight, self.whole())[1]},
            fused=built if built in graphs else None,
            fusion={} if built is None else {m: fusion(x, width) for m, x in native.items()},
            regressed={},
            start=start,
            dim=dim,
            unit=self.scoring.ranking.cosine,
        )
        return self.scoring.attached(learned, self.final(), data)

    def whole(self) -> WholeGraphs:
        graphs = {m: cast(Relation, self.item_graphs[m]) for m in self.modalities}
        return WholeGraphs(self.num_users, self.user_item, self.user_from_item, graphs)

    def prepare_sampling(self) -> Reach:
        self.scoring.check_sampled()
        if self.config.smooth_weight:
            raise ConfigError(
                "model.smooth_weight above 0 reads a whole item graph in every step, but train.mode "
                "'sampled' only what a batch reaches; set it to 0, or take train.mode 'full'"
            )
        if not self.config.trainable_features:
            with torch.no_grad():
                for m, graph in self.whole().item_graphs.items():
                    table = cast(FeatureTable, self.features[m])
                    cast(ModalityView, self.views[m]).pool(table, graph, self.store)
        item_hops = dict.fromkeys(self.modalities, self.config.num_knn_layers)
        return Reach(self.backbone.num_hops(), item_hops, self.score_views)

    def propagated_over(self, graphs: Graphs) -> Propagated:
        id_user, id_item, views = self.propagate(graphs)
        user, item = id_user, id_item
        if self.score_views:
            scoring = sum((views[m] for m in self.score_views), torch.zeros(()))
            user = user + graphs.to_users(scoring)
            item = item + graphs.asked(self.score_views[0], scoring)  # those in the score end alike
        views = {m: graphs.asked(m, view) for m, view in views.items()}
        if self.decoder is not None:
            item = item + self._recovered(self.decoder, views[self.config.fused])
        return Propagated(user, item, {ID: id_item, **views}, graphs.asked_users, graphs.asked_items)

    def batch_terms(self, propagated: Propagated, batch: Batch) -> dict[str, Tensor]:
        config, (user, item, views, _, item_ids) = self.config, propagated
        terms = {"ranking": self.scoring.loss(user, item, batch, item_ids)}
        triple = user[batch.users], item[batch.positive_items], item[batch.negative_items]
        if config.l2_weight:
            terms["l2"] = config.l2_weight * squared_norm_penalty(*triple, batch_size=config.l2_batch_size)
        if config.margin_weight:
            terms["margin"] = config.margin_weight * cosine_margin(*triple)
        items, count = batch.positive_items.unique(return_counts=True)

        def native(name: str) -> Tensor:
            rows: Tensor = self.features[name](global_ids(item_ids, items))
            return rows

        if config.align.weight:
            aligned = self.heads.loss(lambda name: views[name][items], native, count)
            terms["align"] = config.align.weight * aligned
        if config.preserve.weight:
            gaps = (w * similarity_gap(views[m][items], native(m), count) for m, w in self.preserved.items())
            terms["preserve"] = config.preserve.weight * sum(gaps, torch.zeros(()))
        if config.smooth_weight:
            graph = cast(Relation, self.item_graphs[config.fused])
            terms["smooth"] = config.smooth_weight * graph.smoothness(views[config.fused])
        return terms

    def _check_views(self, terms: Iterable[AlignTerm]) -> None:
        config = self.config
        check_names("model.score_views", "modality", self.score_views, self.modalities)
        if len(set(self.score_views)) < len(self.score_views):
            raise ConfigError(f"model.score_views names a view twice: {', '.join(self.score_views)}")
        aligned = any(config.fused in term.targets for term in terms)
        if config.recover_weight and config.align.source == "feature" and aligned:
            raise ConfigError(
                f"model.recover_weight needs a projection of the view '{config.fused}', but with "
                "align.source 'feature' it reads the features; change one of them"
            )
