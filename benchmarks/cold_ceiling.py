"""How well new items of the planted shop can be ranked at all: its truth is known, so is the ceiling.

    python benchmarks/cold_ceiling.py [DATASET...] [--seeds 0,1,2,3,4] [--publish]

The new items are those of benchmarks/cold.py. Three rankers, each told more of the truth:

- users inferred: knows how the shop was drawn, every cluster of the warm items and the look and words of the
  new ones, but of a user only the warm purchases. It ranks by the expected rate of purchase, the mean over a
  Gibbs chain for the user's mixture and preferred clusters. A model that learns from purchases and features
  has to find these clusters and rates first.
- users known: is told every user's mixture and preferred clusters too.
- all known: is told the behaviour and popularity of the new items as well; what is left is the draw itself.

A purchase of item j by a user with mixture m and preferred clusters c has the rate

    p_j = sum_a m_a / T sum_t [cluster_a(j) = c_at] popularity_j / mass_a(c_at).

For inference masses are those of the warm items, and a small rate is added for items that drew their users.
The table goes to benchmarks/results/cold-ceiling-DATASET.json with --publish.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import torch
from cold import METRICS, RANKINGS, TEST, VALIDATION
from cold_rivals import Table
from compare import RESULTS, for_each_dataset, reference_path, report, seed_list
from numpy.typing import NDArray

from anchorrec_graph.config import load_config
from anchorrec_graph.data.planted import ASPECTS, TASTES, PlantedConfig, planted_truth
from anchorrec_graph.data.planted_pairs import PlantedTruth
from anchorrec_graph.data.split import ColdItemsConfig, RandomSplitConfig
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.evaluate.cold_items import ColdItems, hold_out_items, rank_new_items
from anchorrec_graph.evaluate.user_items import positives
from anchorrec_graph.files import save_json
from anchorrec_graph.train.environment import environment

BURN_IN, SAMPLES = 100, 400
ANYTHING = 0.02  # share of purchases that no preferred cluster explains, as in `draw_pairs`

Ids = NDArray[np.int64]
Reals = NDArray[np.float64]


class Known(NamedTuple):
    """What every ranker is told: the clusters of all items, with sizes and masses."""

    warm: Ids  # [W] numbers in the whole shop
    new: Ids  # [n]
    clusters: Ids  # [I, 3]
    popularity: Reals  # [I]
    num_clusters: int
    agreement: float

    def mass(self, items: Ids) -> Reals:
        """Popularity of each cluster [3, K], over these items."""
        columns = self.clusters[items].T
        weights = self.popularity[items]
        return np.stack([np.bincount(c, weights, self.num_clusters) for c in columns])

    def share(self) -> Reals:
        """[3, K] chance that a preferred cluster is k: that of a random item."""
        columns = self.clusters.T
        return np.stack([np.bincount(c, minlength=self.num_clusters) for c in columns]) / len(self.clusters)

    def behaviour(self) -> Reals:
        """[n, K] chance of each behaviour cluster of the new items, given look and words."""
        own = (1 - self.agreement) / self.num_clusters

        def given(cluster: Ids) -> Reals:  # [n, K]: chance of the cluster, if the hidden kind is k
            return self.agreement * np.eye(self.num_clusters)[cluster] + own

        kind = given(self.clusters[self.new, 0]) * given(self.clusters[self.new, 1])
        kind /= kind.sum(axis=1, keepdims=True)
        return self.agreement * kind + own


def told(truth: PlantedTruth, config: PlantedConfig, cold: ColdItems) -> Known:
    def numbers(table: pl.DataFrame) -> Ids:
        return table["item_id"].str.slice(1).cast(pl.Int64).to_numpy()

    return Known(
        numbers(cold.warm["item"].table),
        numbers(cold.test.table),
        truth.item_clusters,
        truth.popularity,
        config.num_clusters,
        config.agreement,
    )


def preference(mixture: Reals, clusters: Ids, num_clusters: int) -> Reals:
    """[U, 3, K]: the chance that a purchase is made for cluster k of aspect a."""
    weight = np.broadcast_to(mixture[:, :, None] / TASTES, clusters.shape)
    user, aspect = np.indices(clusters.shape)[:2]
    table = np.zeros((*mixture.shape, num_clusters))
    np.add.at(table, (user, aspect, clusters), weight)
    return table


def inferred(known: Known, purchases: Ids, rng: np.random.Generator) -> Reals:
    """`preference` [U, 3, K], averaged over a Gibbs chain.

    Args:
        purchases: [U, N] numbers of warm items in the whole shop; -1 where a user has fewer.
    """
    there, columns = purchases >= 0, known.clusters[purchases]  # [U, N], [U, N, 3]
    num_users, aspects = len(purchases), len(ASPECTS)
    users = np.arange(num_users)
    mass, prior = known.mass(known.warm).clip(min=1e-12), np.log(known.share().clip(min=1e-12))
    mixture = np.full((num_users, aspects), 1 / aspects)
    clusters = rng.integers(known.num_clusters, size=(num_users, aspects, TASTES))
    anything = ANYTHING / len(known.warm) / known.popularity[purchases]  # rates are divided by popularity
    total = np.zeros((num_users, aspects, known.num_clusters))

    def rates(aspect: int, cluster: Ids) -> Reals:  # [U, N] of one preferred cluster
        match = columns[:, :, aspect] == cluster[:, None]
        rate: Reals = match * (mixture[:, aspect] / TASTES / mass[aspect, cluster])[:, None]
        return rate

    def by_aspect() -> Reals:  # [U, N, 3]
        return np.stack(
            [sum(rates(a, clusters[:, a, t]) for t in range(TASTES)) for a in range(aspects)], axis=2
        )

    for sweep in range(BURN_IN + SAMPLES):
        for a in range(aspects):
            for t in range(TASTES):
                rest = anything + by_aspect().sum(axis=2) - rates(a, clusters[:, a, t])
                own = mixture[:, a, None] / TASTES / mass[a, columns[:, :, a]]
                gain = np.where(there, np.log1p(own / rest.clip(min=1e-300)), 0)
                chance = np.tile(prior[a], (num_users, 1))
                np.add.at(chance, (users[:, None], columns[:, :, a]), gain)
                clusters[:, a, t] = (chance + rng.gumbel(size=chance.shape)).argmax(axis=1)
        part = np.concatenate([by_aspect(), anything[:, :, None]], axis=2)
        drawn = (np.log(part.clip(min=1e-300)) + rng.gumbel(size=part.shape)).argmax(axis=2)
        count = np.stack([((drawn == a) & there).sum(axis=1) for a in range(aspects)], axis=1)
        mixture = rng.standard_gamma(1.0 + count)
        mixture /= mixture.sum(axis=1, keepdims=True)
        if sweep >= BURN_IN:
            total += preference(mixture, clusters, known.num_clusters)
    return total / SAMPLES


def expected_rates(known: Known, wanted: Reals, popularity: Reals | None, behaviour: Reals) -> Reals:
    """Rate of purchase [U, n] of the new items; popularity None: that of an average item."""
    per_item = wanted / known.mass(np.arange(len(known.clusters)))
    look, words = (per_item[:, a][:, known.clusters[known.new, a]] for a in range(2))
    rate: Reals = look + words + per_item[:, 2] @ behaviour.T
    return rate if popularity is None else rate * popularity


def purchases_of(cold: ColdItems, known: Known) -> Ids:
    """[U, N] numbers in the whole shop, -1 where a user has fewer."""
    bought = positives(cold.warm, "train", "validation")
    user, item = (side.numpy() for side in bought.pairs)
    table = np.full((len(bought.counts()), int(bought.counts().max())), -1)
    order = np.argsort(user, kind="stable")
    place = np.arange(len(user)) - np.searchsorted(user[order], user[order])
    table[user[order], place] = known.warm[item[order]]
    return table


def ceilings(config: PlantedConfig, seed: int) -> dict[str, dict[str, float]]:
    raw, truth = config.read(), planted_truth(config)
    split = ColdItemsConfig(validation=VALIDATION, test=TEST, seed=seed)
    cold = hold_out_items(raw, split, RandomSplitConfig(seed=seed))
    known = told(truth, config, cold)
    true = preference(truth.user_mixture, truth.user_clusters, known.num_clusters)
    guess = inferred(known, purchases_of(cold, known), np.random.default_rng(seed))
    exact = np.eye(known.num_clusters)[known.clusters[known.new, 2]]
    rankers = {
        "users inferred": expected_rates(known, guess, None, known.behaviour()),
        "users known": expected_rates(known, true, None, known.behaviour()),
        "all known": expected_rates(known, true, known.popularity[known.new], exact),
    }
    return {name: _among_new(scores, cold, len(known.warm)) for name, scores in rankers.items()}


def _among_new(scores: Reals, cold: ColdItems, num_warm: int) -> dict[str, float]:
    table = torch.cat([torch.zeros(len(scores), num_warm), torch.from_numpy(scores).float()], dim=1)
    ranked = rank_new_items(Table(table), cold, cold.test)[RANKINGS[0]]
    return {metric: float(ranked[metric].mean()) for metric in METRICS}  # type: ignore[arg-type]


def publish(dataset: str, args: argparse.Namespace) -> None:
    config = load_config(reference_path(dataset)).dataset
    if not isinstance(config, PlantedConfig):
        raise ConfigError("only a planted shop has a known truth")
    values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for seed in args.seeds:
        for name, metrics in ceilings(config, seed).items():
            for metric, value in metrics.items():
                values[name][metric].append(value)
        report(f"{dataset}: seed {seed} done")
    for name, metrics in values.items():
        cells = [f"{metric} {np.mean(v):.4f} ± {np.std(v, ddof=1):.4f}" for metric, v in metrics.items()]
        print(f"{dataset}: {name}: {', '.join(cells)}")
    if args.publish:
        found: dict[str, Any] = {"seeds": args.seeds, "among new items": values, "environment": environment()}
        save_json(RESULTS / f"cold-ceiling-{dataset}.json", found)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("datasets", nargs="*", default=["planted"], metavar="DATASET")
    parser.add_argument("--seeds", type=seed_list, default=[0, 1, 2, 3, 4])
    parser.add_argument("--publish", action="store_true")
    args = parser.parse_args()
    for_each_dataset(publish, args)


if __name__ == "__main__":
    main()
