"""Splits: which interactions train, which choose the model, which measure it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from anchorrec_graph.data.raw import TEST, TRAIN, VALIDATION, Interactions
from anchorrec_graph.errors import DataError
from anchorrec_graph.registry import Registry
from anchorrec_graph.settings import Settings

Ids = NDArray[np.int64]


class SplitConfig(Settings, ABC):
    """Settings of a split. A subclass adds a `name` literal and implements `assign`."""

    name: str

    @abstractmethod
    def assign(self, interactions: Interactions) -> Ids:
        """Label [n] of each interaction: 0 train, 1 validation, 2 test.

        Raises:
            DataError: the split needs what the interactions lack.
        """


SPLITS: Registry[type[SplitConfig]] = Registry("split")


class RandomSplitConfig(SplitConfig):
    """The literature's "8:1:1", random within each user (models.md, section 3; MMRec).

    A user with c interactions holds out h of them, drawn without replacement:
        c < 3: none;   3 <= c < 10: 1 validation + 1 test;
        c >= 10: h = floor(c / 5), validation floor(h / 2), test h - floor(h / 2).
    """

    name: Literal["random"] = "random"
    seed: int = Field(default=0, ge=0)

    def assign(self, interactions: Interactions) -> Ids:
        shuffled = np.random.default_rng(self.seed).permutation(len(interactions.user))
        from_end, count = place_in_user(interactions.user, shuffled)
        held = np.where(count < 10, 2, count // 5)
        return _label_tail(from_end, count, held // 2, held - held // 2)


class LeaveLastConfig(SplitConfig):
    """The last interaction of each user is the test, the one before it the validation.

    Rows with equal time count in file order. A user with fewer than 3 interactions only trains.
    """

    name: Literal["leave_last"] = "leave_last"

    def assign(self, interactions: Interactions) -> Ids:
        order = np.argsort(_times(interactions, self.name), kind="stable")
        from_end, count = place_in_user(interactions.user, order)
        one = np.ones_like(count)
        return _label_tail(from_end, count, one, one)


class RatioSplitConfig(SplitConfig, ABC):
    """Splits that hold out given shares: `validation` + `test` < 1, the rest trains."""

    validation: float = Field(default=0.1, gt=0, lt=1)
    test: float = Field(default=0.1, gt=0, lt=1)

    @model_validator(mode="after")
    def _leave_a_training_share(self) -> Self:
        if self.validation + self.test >= 1:
            raise ValueError("validation + test must be below 1, to leave something to train on")
        return self


class UserTimeConfig(RatioSplitConfig):
    """Each user's interactions in time order: first train, then validation, then test.

    A user with c >= 3 interactions holds out floor(share * c) of them for each part, but at least
    one, and trains on at least one; with c < 3 it only trains. Equal times count in file order.
    """

    name: Literal["user_time"] = "user_time"

    def assign(self, interactions: Interactions) -> Ids:
        order = np.argsort(_times(interactions, self.name), kind="stable")
        from_end, count = place_in_user(interactions.user, order)
        test = np.clip(_share(self.test, count), 1, np.maximum(count - 2, 1))
        validation = np.clip(_share(self.validation, count), 1, np.maximum(count - 1 - test, 1))
        return _label_tail(from_end, count, validation, test)


class GlobalTimeConfig(RatioSplitConfig):
    """Two points in time cut all interactions: t < t_1 train, t_1 <= t < t_2 validation, t >= t_2 test.

    t_1 and t_2 are the times of the rows at the shares, so equal times are never parted. Users and
    items first seen after t_1 stay in the held-out parts; `check_split` counts them.
    """

    name: Literal["global_time"] = "global_time"

    def assign(self, interactions: Interactions) -> Ids:
        time = _times(interactions, self.name)
        rows = np.array([1 - self.validation - self.test, 1 - self.test])
        validation_from, test_from = np.sort(time)[_share(rows, np.int64(len(time)))]
        if not time.min() < validation_from < test_from:
            raise DataError(
                "the split 'global_time' finds no two cut points: too many interactions share one timestamp; "
                "use finer timestamps, other shares, or the split 'user_time' or 'random'"
            )
        return np.where(time >= test_from, TEST, np.where(time >= validation_from, VALIDATION, TRAIN))


class ColdItemsConfig(RatioSplitConfig):
    """Shares of the items are held out whole: none of their interactions trains.

    Items are drawn at random. An item that would leave a user without a training row goes back to
    training (the user's most popular one) and another is drawn, so fewer than the shares may be
    held out when users have few interactions.
    """

    name: Literal["cold_items"] = "cold_items"
    seed: int = Field(default=0, ge=0)

    def assign(self, interactions: Interactions) -> Ids:
        user, item = interactions.user, interactions.item
        drawn = np.random.default_rng(self.seed).permutation(np.unique(item))
        validation, test = (max(1, int(_share(part, len(drawn)))) for part in (self.validation, self.test))
        held = _cold_items(user, item, drawn, validation + test)
        if len(held) < 2:
            raise DataError(
                "the split 'cold_items' can hold out no item without taking a user's last training row; "
                "use data with more interactions per user, or the split 'random'"
            )
        validation = max(1, len(held) * validation // (validation + test))
        item_label = np.full(int(item.max()) + 1, TRAIN, dtype=np.int64)
        item_label[held[:validation]] = VALIDATION
        item_label[held[validation:]] = TEST
        return item_label[item]


class ColdUsersConfig(RatioSplitConfig):
    """Shares of the users are held out whole: none of their interactions trains.

    Users are drawn at random among those with interactions. No model here learns an embedding of a
    user without a training row (`check_split` counts such users, and held-out items that only they
    have): this split is for what makes a user from other data, such as folding in. What it measures
    of any other model is what a stranger is shown.
    """

    name: Literal["cold_users"] = "cold_users"
    seed: int = Field(default=0, ge=0)

    def assign(self, interactions: Interactions) -> Ids:
        user = interactions.user
        drawn = np.random.default_rng(self.seed).permutation(np.unique(user))
        validation, test = (max(1, int(_share(part, len(drawn)))) for part in (self.validation, self.test))
        if validation + test >= len(drawn):
            raise DataError(
                f"the split 'cold_users' holds out {validation + test} users and leaves none to train on; "
                "use smaller shares, data with more users, or the split 'random'"
            )
        user_label = np.full(int(user.max()) + 1, TRAIN, dtype=np.int64)
        user_label[drawn[:validation]] = VALIDATION
        user_label[drawn[validation : validation + test]] = TEST
        return user_label[user]


for _config in (
    RandomSplitConfig,
    LeaveLastConfig,
    UserTimeConfig,
    GlobalTimeConfig,
    ColdItemsConfig,
    ColdUsersConfig,
):
    SPLITS.register(_config)(_config)


def _times(interactions: Interactions, split: str) -> Ids:
    if interactions.time is None:
        raise DataError(
            f"the split '{split}' needs timestamps, but the interactions have none; "
            "add a timestamp column or use the split 'random' or 'cold_items'"
        )
    return interactions.time


def _share(share: float | NDArray[np.float64], count: int | Ids | np.int64) -> Ids:
    """floor(share * count), where a product that is whole but for rounding counts as whole."""
    return np.floor(share * np.asarray(count) + 1e-9).astype(np.int64)


def place_in_user(user: Ids, order: Ids) -> tuple[Ids, Ids]:
    """Of each row [n]: how many rows of its user follow it in `order`, and how many its user has."""
    count = np.bincount(user)
    grouped = order[np.argsort(user[order], kind="stable")]
    from_end = np.empty(len(user), dtype=np.int64)
    from_end[grouped] = np.cumsum(count)[user[grouped]] - 1 - np.arange(len(user))
    return from_end, count[user]


def _label_tail(from_end: Ids, count: Ids, validation: Ids, test: Ids) -> Ids:
    """Label each user's last rows test, those before them validation; users with < 3 rows only train."""
    held = np.where(from_end < test, TEST, np.where(from_end < test + validation, VALIDATION, TRAIN))
    return np.where(count < 3, TRAIN, held)


def _cold_items(user: Ids, item: Ids, drawn: Ids, count: int) -> Ids:
    """The first `count` of the `drawn` items that leave every user a training row."""
    popularity = np.bincount(item)
    kept = np.zeros(len(popularity), dtype=bool)
    while True:
        held = drawn[~kept[drawn]][:count]
        is_held = np.zeros(len(popularity), dtype=bool)
        is_held[held] = True
        trains = np.bincount(user[~is_held[item]], minlength=int(user.max()) + 1) > 0
        lonely = np.flatnonzero(~trains[user])
        if len(lonely) == 0:
            return held
        by_popularity = lonely[np.lexsort((-popularity[item[lonely]], user[lonely]))]
        _, first = np.unique(user[by_popularity], return_index=True)
        kept[item[by_popularity[first]]] = True
