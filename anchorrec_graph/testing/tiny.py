"""`tiny_data`: a data set small enough for a test and awkward enough to break a careless model."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray
from torch_geometric.data import HeteroData

from anchorrec_graph.data.base import to_hetero_data
from anchorrec_graph.data.manifest import json_hash
from anchorrec_graph.data.raw import TEST, TRAIN, VALIDATION, Interactions, RawData

NUM_USERS, NUM_ITEMS, NUM_GROUPS = 20, 24, 3
COLD_USER, COLD_ITEM, BLANK_ITEM = NUM_USERS - 1, NUM_ITEMS - 1, 0
PER_USER = 6  # interactions: 4 train, 1 validation, 1 test


def tiny_data(seed: int = 0, modalities: tuple[str, ...] = ("image", "text")) -> HeteroData:
    """20 users, 24 items in 3 groups that users and features agree on, and three awkward cases.

    `COLD_USER` and `COLD_ITEM` have held-out interactions but none in training;
    the row of `BLANK_ITEM` in the first modality is zero. Modality m has 8 + m
    columns, so that no two widths are equal.

    Returns the container that `DatasetConfig.load` describes.
    """
    rng = np.random.default_rng(seed)
    user, item, label = _interactions(rng)
    features = {}
    for place, modality in enumerate(modalities):
        centres = rng.standard_normal((NUM_GROUPS, 8 + place))
        noise = rng.standard_normal((NUM_ITEMS, 8 + place))
        rows = (centres[np.arange(NUM_ITEMS) % NUM_GROUPS] + 0.5 * noise).astype(np.float32)
        rows[BLANK_ITEM] *= place > 0
        features[modality] = rows
    items = [f"item {number}" for number in range(NUM_ITEMS)]
    raw = RawData(
        interactions=Interactions(user, item, time=np.arange(len(user))),
        label=label,
        features=features,
        user_ids=np.array([f"user {number}" for number in range(NUM_USERS)]),
        items=pl.DataFrame({"item_id": items, "title": [name.title() for name in items]}),
        files={},
    )
    data = to_hetero_data(raw, label)
    data.manifest = {"name": "tiny", "hash": json_hash({"seed": seed, "modalities": modalities})}
    return data


def _interactions(rng: np.random.Generator) -> tuple[NDArray[np.int64], ...]:
    """Users, items and split labels: mostly items of the user's group, each pair once."""
    users, items, labels = [], [], []
    for user in range(NUM_USERS):
        liking = np.where(np.arange(NUM_ITEMS) % NUM_GROUPS == user % NUM_GROUPS, 8.0, 1.0)
        liking[COLD_ITEM] = 0
        chosen = rng.choice(NUM_ITEMS, PER_USER, replace=False, p=liking / liking.sum())
        label = [TRAIN] * (PER_USER - 2) + [VALIDATION, TEST]
        if user == COLD_USER:
            chosen, label = chosen[:2], label[-2:]
        users += [user] * len(chosen)
        items += chosen.tolist()
        labels += label
    users, items, labels = [*users, 0, 1], [*items, COLD_ITEM, COLD_ITEM], [*labels, VALIDATION, TEST]
    return np.array(users), np.array(items), np.array(labels)
