"""Splits against loop twins, their guarantees, and their refusals."""

from __future__ import annotations

import math

import naive_data
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from anchorrec_graph.data.raw import Interactions
from anchorrec_graph.data.split import (
    SPLITS,
    ColdItemsConfig,
    ColdUsersConfig,
    GlobalTimeConfig,
    LeaveLastConfig,
    RandomSplitConfig,
    UserTimeConfig,
)
from anchorrec_graph.errors import DataError

# users of 0 to 60 interactions; few distinct times, so that ties are common
counts = st.lists(st.integers(0, 60), min_size=1, max_size=8).filter(any)
shares = st.sampled_from([0.05, 0.1, 0.2, 0.29, 0.3, 0.45])


@st.composite
def histories(draw: st.DrawFn) -> Interactions:
    user = np.repeat(np.arange(len(sizes := draw(counts))), sizes)
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    rng.shuffle(user)
    time = rng.integers(0, draw(st.sampled_from([1, 2, 3, 50])), size=len(user))
    return Interactions(user, rng.integers(0, 12, size=len(user)), time=time)


@given(histories(), st.integers(0, 99))
def test_random_gives_every_user_the_counts_of_the_literature(data: Interactions, seed: int) -> None:
    label = RandomSplitConfig(seed=seed).assign(data)
    for rows in naive_data.rows_by_user(data.user.tolist()).values():
        got = tuple(np.bincount(label[rows], minlength=3).tolist())
        assert got == naive_data.random_split_counts(len(rows))


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (2, (2, 0, 0)),
        (3, (1, 1, 1)),
        (9, (7, 1, 1)),
        (10, (8, 1, 1)),
        (14, (12, 1, 1)),
        (15, (12, 1, 2)),
        (50, (40, 5, 5)),
    ],
)
def test_random_counts_by_hand(count: int, expected: tuple[int, int, int]) -> None:
    data = Interactions(np.zeros(count, dtype=np.int64), np.arange(count))
    assert tuple(np.bincount(RandomSplitConfig().assign(data), minlength=3).tolist()) == expected


def test_random_depends_on_the_seed_alone_and_holds_out_every_row_alike() -> None:
    data = Interactions(np.repeat(np.arange(400), 10), np.tile(np.arange(10), 400))
    labels = [RandomSplitConfig(seed=seed).assign(data) for seed in (1, 1, 2)]
    assert (labels[0] == labels[1]).all()
    assert (labels[0] != labels[2]).any()
    tested = (labels[0].reshape(400, 10) == 2).sum(axis=0)  # each place: Binomial(400, .1), sd 6
    assert tested.min() > 40 - 5 * 6
    assert tested.max() < 40 + 5 * 6


@given(histories())
def test_leave_last_is_its_twin(data: Interactions) -> None:
    assert data.time is not None
    expected = naive_data.leave_last(data.user.tolist(), data.time.tolist())
    assert LeaveLastConfig().assign(data).tolist() == expected


@given(histories(), shares, shares)
def test_user_time_is_its_twin_and_every_user_trains(
    data: Interactions, validation: float, test: float
) -> None:
    assert data.time is not None
    label = UserTimeConfig(validation=validation, test=test).assign(data)
    assert label.tolist() == naive_data.user_time(data.user.tolist(), data.time.tolist(), validation, test)
    assert set(data.user[label == 0]) == set(data.user)


def test_a_share_that_is_whole_but_for_rounding_is_whole() -> None:
    assert 0.29 * 100 < 29
    data = Interactions(np.zeros(100, dtype=np.int64), np.arange(100), time=np.arange(100))
    assert (UserTimeConfig(test=0.29).assign(data) == 2).sum() == 29


@given(histories(), shares, shares)
def test_global_time_is_its_twin_or_says_why_not(data: Interactions, validation: float, test: float) -> None:
    assert data.time is not None
    split = GlobalTimeConfig(validation=validation, test=test)
    expected = naive_data.global_time(data.time.tolist(), validation, test)
    if expected is None:
        with pytest.raises(DataError, match="no two cut points"):
            split.assign(data)
    else:
        label = split.assign(data)
        assert label.tolist() == expected
        assert data.time[label == 0].max() < data.time[label == 1].min()
        assert data.time[label == 1].max() < data.time[label == 2].min()


@given(histories(), shares, shares, st.integers(0, 99))
def test_cold_items_are_whole_and_leave_every_user_a_training_row(
    data: Interactions, validation: float, test: float, seed: int
) -> None:
    split = ColdItemsConfig(validation=validation, test=test, seed=seed)
    items = len(set(data.item))
    spare = items - len(set(data.user))  # each user needs at most one item
    try:
        label = split.assign(data)
    except DataError:
        assert spare < 2
        return
    wanted = sum(max(1, math.floor(share * items + 1e-9)) for share in (validation, test))
    assert len(set(data.item[label > 0])) >= min(wanted, spare)
    for item in set(data.item):
        assert len(set(label[data.item == item])) == 1
    assert set(data.user[label == 0]) == set(data.user)
    assert {1, 2} <= set(label)


def test_cold_items_holds_out_the_shares_when_it_can() -> None:
    rng = np.random.default_rng(0)
    data = Interactions(np.repeat(np.arange(200), 30), rng.integers(0, 100, size=6000))
    label = ColdItemsConfig(validation=0.1, test=0.2).assign(data)
    assert len(set(data.item[label == 1])) == 10
    assert len(set(data.item[label == 2])) == 20


def test_cold_items_keeps_the_only_item_of_a_user() -> None:
    user = np.array([0, 1, 1, 1, 1, 2, 2, 2, 2])
    item = np.array([0, 1, 2, 3, 4, 1, 2, 3, 4])
    for seed in range(20):
        label = ColdItemsConfig(validation=0.2, test=0.4, seed=seed).assign(Interactions(user, item))
        assert label[0] == 0


def test_cold_items_gives_back_the_most_popular_item_only() -> None:
    user = np.array([0, 0, 1, 1, 2, 2, 2, 2, 2, 2, 2])
    item = np.array([0, 1, 0, 2, 3, 4, 5, 6, 7, 8, 9])
    for seed in range(20):
        label = ColdItemsConfig(validation=0.45, test=0.45, seed=seed).assign(Interactions(user, item))
        assert set(item[label == 0]) >= {0}
        assert len(set(item[label > 0])) == 8  # all but item 0 and one of user 2


def test_cold_items_refuses_when_every_item_is_needed() -> None:
    data = Interactions(np.arange(5), np.arange(5))
    with pytest.raises(DataError, match="last training row"):
        ColdItemsConfig().assign(data)


@given(histories(), shares, shares, st.integers(0, 99))
def test_cold_users_are_whole_and_as_many_as_the_shares(
    data: Interactions, validation: float, test: float, seed: int
) -> None:
    split = ColdUsersConfig(validation=validation, test=test, seed=seed)
    users = sorted(set(data.user.tolist()))
    wanted = [max(1, math.floor(share * len(users) + 1e-9)) for share in (validation, test)]
    if sum(wanted) >= len(users):
        with pytest.raises(DataError, match="leaves none to train on"):
            split.assign(data)
        return
    label = split.assign(data)
    of_user = {user: set(label[data.user == user].tolist()) for user in users}
    assert all(len(labels) == 1 for labels in of_user.values())
    for part, count in zip((1, 2), wanted, strict=True):
        assert sum(labels == {part} for labels in of_user.values()) == count


def test_cold_users_hold_out_every_user_alike() -> None:
    data = Interactions(np.repeat(np.arange(20), 2), np.tile(np.arange(2), 20))
    held = [ColdUsersConfig(test=0.2, seed=seed).assign(data)[::2] == 2 for seed in range(400)]
    times = np.sum(held, axis=0)  # each user: Binomial(400, .2), sd 8
    assert times.sum() == 400 * 4
    assert times.min() > 80 - 5 * 8
    assert times.max() < 80 + 5 * 8


@pytest.mark.parametrize("name", ["leave_last", "user_time", "global_time"])
def test_time_splits_name_the_missing_timestamps(name: str) -> None:
    data = Interactions(np.array([0, 0, 0]), np.array([0, 1, 2]))
    with pytest.raises(DataError, match=f"'{name}' needs timestamps"):
        SPLITS[name]().assign(data)


@settings(max_examples=20)
@given(histories())
def test_every_split_labels_every_row_the_same_way_twice(data: Interactions) -> None:
    for name in SPLITS:
        try:
            label = SPLITS[name]().assign(data)
        except DataError:
            continue
        assert label.dtype == np.int64
        assert label.shape == data.user.shape
        assert set(label) <= {0, 1, 2}
        assert (label == SPLITS[name]().assign(data)).all()


@pytest.mark.parametrize("config", [UserTimeConfig, GlobalTimeConfig, ColdItemsConfig, ColdUsersConfig])
def test_shares_must_leave_something_to_train_on(config: type[UserTimeConfig]) -> None:
    with pytest.raises(ValidationError, match="leave something to train on"):
        config(validation=0.5, test=0.5)
    with pytest.raises(ValidationError, match="greater than 0"):
        config(test=0.0)
