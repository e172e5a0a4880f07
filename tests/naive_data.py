"""Loop twins of the data package: slow, plain, written from the definitions and not from the code."""

from __future__ import annotations

import math
from collections import defaultdict


def rows_by_user(users: list[int]) -> dict[int, list[int]]:
    """Row numbers of each user, in file order."""
    rows = defaultdict(list)
    for row, user in enumerate(users):
        rows[user].append(row)
    return rows


def random_split_counts(count: int) -> tuple[int, int, int]:
    """(train, validation, test) of a user with `count` interactions, as the literature's code has it."""
    if count < 3:
        return count, 0, 0
    if count < 10:
        return count - 2, 1, 1
    held = int(count * 0.2)
    validation = held // 2
    return count - held, validation, held - validation


def leave_last(users: list[int], times: list[int]) -> list[int]:
    label = [0] * len(users)
    for rows in rows_by_user(users).values():
        if len(rows) >= 3:
            ordered = sorted(rows, key=lambda row: (times[row], row))
            label[ordered[-1]], label[ordered[-2]] = 2, 1
    return label


def user_time(users: list[int], times: list[int], validation: float, test: float) -> list[int]:
    label = [0] * len(users)
    for rows in rows_by_user(users).values():
        if len(rows) < 3:
            continue
        ordered = sorted(rows, key=lambda row: (times[row], row))
        num_test = min(max(1, math.floor(test * len(rows) + 1e-9)), len(rows) - 2)
        num_validation = min(max(1, math.floor(validation * len(rows) + 1e-9)), len(rows) - 1 - num_test)
        for place, row in enumerate(reversed(ordered)):
            if place < num_test:
                label[row] = 2
            elif place < num_test + num_validation:
                label[row] = 1
    return label


def global_time(times: list[int], validation: float, test: float) -> list[int] | None:
    """None where the timestamps allow no two cuts."""
    ordered = sorted(times)
    first = ordered[math.floor((1 - validation - test) * len(times) + 1e-9)]
    second = ordered[math.floor((1 - test) * len(times) + 1e-9)]
    if not ordered[0] < first < second:
        return None
    return [2 if time >= second else 1 if time >= first else 0 for time in times]


def negatives(pairs: list[tuple[int, int]], num_users: int, num_items: int) -> list[list[int]]:
    """The items that each user has not interacted with, ascending."""
    positives = set(pairs)
    return [[i for i in range(num_items) if (user, i) not in positives] for user in range(num_users)]


def first_repeated_pair(users: list[int], items: list[int]) -> tuple[int, int] | None:
    """(row, row of the first occurrence), 0-based, of the first row whose pair was seen before."""
    seen: dict[tuple[int, int], int] = {}
    for row, pair in enumerate(zip(users, items, strict=True)):
        if pair in seen:
            return row, seen[pair]
        seen[pair] = row
    return None
