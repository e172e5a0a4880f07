"""The truth of a planted shop, and distinct user-item pairs drawn from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

CORE = 5  # least number of interactions of every user and every item
ROUNDS = 8  # draws of what repeated pairs left missing; after them only CORE is insisted on

Ids = NDArray[np.int64]
Reals = NDArray[np.float64]


class PlantedTruth(NamedTuple):
    """What the shop is drawn from. Aspects are in the order look, words, behaviour."""

    item_clusters: Ids  # [I, 3]
    popularity: Reals  # [I], sums to 1
    user_mixture: Reals  # [U, 3], rows sum to 1
    user_clusters: Ids  # [U, 3, T] the preferred clusters


def draw_pairs(truth: PlantedTruth, wanted: Ids, rng: np.random.Generator) -> tuple[Ids, Ids]:
    """Distinct pairs, in random order: users [n] and items [n].

    Users draw items until each has its `wanted` [U] number, or runs dry: aspect from its mixture, one
    of its preferred clusters, item by popularity. Then each item with fewer than CORE users draws
    users among those who prefer a cluster of it. No users x items matrix is made.
    """
    num_users, num_items = len(truth.user_mixture), len(truth.item_clusters)
    buy, find_buyers = _item_drawer(truth, rng), _user_drawer(truth, rng)

    def by_user(users: Ids, anything: bool) -> Ids:
        items = rng.integers(num_items, size=len(users)) if anything else buy(users)
        return users * num_items + items

    def by_item(items: Ids, anything: bool) -> Ids:
        users = rng.integers(num_users, size=len(items)) if anything else find_buyers(items)
        return users * num_items + items

    pairs = _fill(np.empty(0, dtype=np.int64), wanted, lambda pairs: pairs // num_items, by_user)
    pairs = _fill(pairs, np.full(num_items, CORE), lambda pairs: pairs % num_items, by_item)
    pairs = rng.permutation(pairs)
    return pairs // num_items, pairs % num_items


def _fill(pairs: Ids, wanted: Ids, owner: Callable[[Ids], Ids], draw: Callable[[Ids, bool], Ids]) -> Ids:
    """Add drawn pairs to the sorted distinct `pairs` until every owner has its `wanted` number.

    After ROUNDS the owners below CORE draw anything, so that a tiny shop ends too.
    """
    attempt = 0
    while True:
        goal = wanted if attempt < ROUNDS else np.minimum(wanted, CORE)
        missing = np.maximum(goal - np.bincount(owner(pairs), minlength=len(wanted)), 0)
        if not missing.any():
            return pairs
        owners = np.repeat(np.arange(len(wanted)), missing)
        pairs = np.sort(np.concatenate([pairs, draw(owners, attempt >= ROUNDS)]))
        pairs = pairs[np.diff(pairs, prepend=-1) > 0]  # np.unique hashes, ten times slower here
        attempt += 1


class _Shelves(NamedTuple):
    """Members sorted by cluster, with running weights, to draw by weight within a cluster."""

    member: Ids  # [m]
    mass: Reals  # [m + 1] total weight of the members before each place
    start: Ids  # [K + 1] place where each cluster begins

    @classmethod
    def sort(cls, cluster: Ids, weight: Reals, num_clusters: int) -> _Shelves:
        member = np.argsort(cluster, kind="stable")
        start = np.searchsorted(cluster[member], np.arange(num_clusters + 1))
        return cls(member, np.concatenate([[0.0], np.cumsum(weight[member])]), start)

    def draw(self, cluster: Ids, rng: np.random.Generator) -> Ids:
        """One member of each of the (not empty) clusters [n], in proportion to the weights: [n]."""
        low, high = self.start[cluster], self.start[cluster + 1]
        point = self.mass[low] + rng.random(len(cluster)) * (self.mass[high] - self.mass[low])
        place = np.searchsorted(self.mass, point, side="right") - 1
        return self.member[np.clip(place, low, high - 1)]  # rounding may reach the next cluster


def _item_drawer(truth: PlantedTruth, rng: np.random.Generator) -> Callable[[Ids], Ids]:
    num_clusters = int(truth.item_clusters.max()) + 1
    shelves = [_Shelves.sort(column, truth.popularity, num_clusters) for column in truth.item_clusters.T]
    share = truth.user_mixture.cumsum(axis=1)[:, :-1]
    tastes = truth.user_clusters.shape[2]

    def draw(users: Ids) -> Ids:
        aspect = (rng.random(len(users))[:, None] >= share[users]).sum(axis=1)
        cluster = truth.user_clusters[users, aspect, rng.integers(tastes, size=len(users))]
        items = np.empty(len(users), dtype=np.int64)
        for number, shelf in enumerate(shelves):
            rows = aspect == number
            items[rows] = shelf.draw(cluster[rows], rng)
        return items

    return draw


def _user_drawer(truth: PlantedTruth, rng: np.random.Generator) -> Callable[[Ids], Ids]:
    """Users who prefer the item's cluster in an aspect drawn uniformly; any user where none does."""
    num_users, num_aspects, tastes = truth.user_clusters.shape
    num_clusters = int(truth.item_clusters.max()) + 1
    one = np.ones(num_users * tastes)
    fans = [
        _Shelves.sort(truth.user_clusters[:, aspect].reshape(-1), one, num_clusters)
        for aspect in range(num_aspects)
    ]

    def draw(items: Ids) -> Ids:
        aspect = rng.integers(num_aspects, size=len(items))
        users = rng.integers(num_users, size=len(items))
        for number, shelf in enumerate(fans):
            cluster = truth.item_clusters[items, number]
            rows = np.flatnonzero((aspect == number) & (shelf.start[cluster] < shelf.start[cluster + 1]))
            users[rows] = shelf.draw(cluster[rows], rng) // tastes
        return users

    return draw
