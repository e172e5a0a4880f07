"""`Task`: what all rows of a table must share, and the refusal to mix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from torch_geometric.data import HeteroData

from anchorrec_graph.compare.labels import Entry
from anchorrec_graph.data.manifest import content_hash, json_hash
from anchorrec_graph.errors import ConfigError, DataError
from anchorrec_graph.evaluate.evaluator import EvaluateConfig, Evaluator
from anchorrec_graph.evaluate.user_items import PAIRS, positives


class Pairs(NamedTuple):
    """The interactions and their split. Features, ids and the order of the pairs play no part."""

    users: int
    items: int
    train: str  # content hashes of the sorted pairs
    validation: str
    test: str


class Task(NamedTuple):
    """The first row's data and evaluation, which every other row was found to share."""

    data: HeteroData
    evaluate: EvaluateConfig
    pairs: Pairs
    manifests: dict[str, dict[str, Any]]  # label -> manifest of its data; features may differ
    num_test_users: int

    @property
    def hash(self) -> str:
        """Of interactions and split, 12 hexadecimal digits."""
        return json_hash(self.pairs)[:12]


def shared_task(entries: Sequence[Entry]) -> Task:
    """Load every row's data, and refuse rows that are not about the same question.

    Raises:
        DataError: interactions or split differ, or there are no validation or test pairs.
        ConfigError: evaluate.mask, evaluate.metrics, evaluate.max_users or train.metric differ.
    """
    first = entries[0]
    for entry in entries[1:]:
        _check_evaluation(first, entry)
    data = first.config.dataset.load()
    evaluator = Evaluator(first.config.evaluate, data)
    evaluator.users("validation")
    num_test_users = len(evaluator.users("test"))
    known = {json_hash(first.config.dataset.model_dump(mode="json")): (_pairs(data), data.manifest)}
    manifests = {}
    for entry in entries:
        key = json_hash(entry.config.dataset.model_dump(mode="json"))
        if key not in known:
            other = entry.config.dataset.load()
            known[key] = _pairs(other), other.manifest
        pairs, manifests[entry.label] = known[key]
        _check_pairs(first, entry, _pairs(data), pairs)
    return Task(data, first.config.evaluate, _pairs(data), manifests, num_test_users)


def _pairs(data: HeteroData) -> Pairs:
    hashes = [content_hash(positives(data, split).keys) for split in PAIRS]
    return Pairs(int(data["user"].num_nodes), int(data["item"].num_nodes), *hashes)


def _check_pairs(first: Entry, other: Entry, ours: Pairs, theirs: Pairs) -> None:
    differing = [name for name, a, b in zip(Pairs._fields, ours, theirs, strict=True) if a != b]
    if differing:
        raise DataError(
            f"{first.path} and {other.path} have different {', '.join(differing)}: their results cannot "
            "stand in one table; give both the same dataset and dataset.split"
        )


def _check_evaluation(first: Entry, other: Entry) -> None:
    ours, theirs = (entry.config.evaluate.max_users for entry in (first, other))
    if ours != theirs:
        raise ConfigError(
            f"{first.path} and {other.path} differ in evaluate.max_users: {ours} and {theirs}; set it for "
            "both, for example with -o evaluate.max_users=null"
        )
    metric, their_metric = (entry.config.train.metric for entry in (first, other))
    if metric != their_metric:
        raise ConfigError(
            f"{first.path} and {other.path} differ in train.metric, which chooses the epoch: {metric} and "
            f"{their_metric}; set it for both, for example with -o train.metric={metric}"
        )
    for key in ("mask", "metrics"):
        own_set, other_set = (set(getattr(entry.config.evaluate, key)) for entry in (first, other))
        if own_set != other_set:
            parts = [
                f"only {entry.path} has {', '.join(sorted(own))}"
                for entry, own in ((first, own_set - other_set), (other, other_set - own_set))
                if own
            ]
            raise ConfigError(
                f"{first.path} and {other.path} differ in evaluate.{key}: {'; '.join(parts)}; "
                f"set it for both, for example with -o evaluate.{key}=[...]"
            )
