"""All measures of the lists of one model, one table of rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array
from torch import Tensor

from anchorrec_graph.audit.accuracy import accuracy_ratios
from anchorrec_graph.audit.calibration import calibration
from anchorrec_graph.audit.columns import ALL
from anchorrec_graph.audit.exposure import exposure_ratios, group_shares
from anchorrec_graph.audit.groups import Groups
from anchorrec_graph.audit.lists import Known
from anchorrec_graph.audit.ratios import Ratio, user_ratio
from anchorrec_graph.audit.tables import Measured, Row, constant_row, measured_rows
from anchorrec_graph.audit.users import list_diversity, list_ratios
from anchorrec_graph.diagnose.popularity import concentration


class Subject(NamedTuple):
    """What every model is measured on."""

    known: Known
    groups: list[Groups]  # of items and of users
    features: Mapping[str, Tensor]  # native features of every modality, for the diversity of lists
    least: int


def measure_lists(seeds: Sequence[Tensor], subject: Subject) -> tuple[list[Row], list[Row]]:
    """Rows of groups and of gaps of a model's lists [n, K], one tensor per seed."""
    known, num_users = subject.known, len(subject.known.users)
    everyone = Groups("lists", ALL, [], csr_array((num_users, 0))).with_all()
    all_groups = [groups.with_all() for groups in subject.groups]
    diversity = [
        {name: list_diversity(items, rows) for name, rows in subject.features.items()} for items in seeds
    ]
    measured = []
    for groups in [everyone, *all_groups]:
        if groups.of == "items":
            of_seeds = [
                exposure_ratios(items, known, groups.member)
                | accuracy_ratios(items, known, groups.member, subject.least)
                for items in seeds
            ]
        else:
            of_seeds = [
                list_ratios(items, known, spread, groups.member)
                for items, spread in zip(seeds, diversity, strict=True)
            ]
        measured += _by_measure(groups, of_seeds)
    for groups in subject.groups:
        if groups.of == "items":
            of_seeds = [_calibration_ratios(items, known, groups, everyone) for items in seeds]
            measured += _by_measure(everyone._replace(by=groups.by), of_seeds)
    rows, gaps = measured_rows(measured, num_users)
    sizes = [row for groups in all_groups for row in _size_rows(groups, known)]
    return _concentration_rows(seeds, known, everyone) + sizes + rows, gaps


def _by_measure(groups: Groups, seeds: Sequence[Mapping[str, Ratio]]) -> list[Measured]:
    return [Measured(groups, name, [seed[name] for seed in seeds]) for name in seeds[0]]


def _calibration_ratios(items: Tensor, known: Known, groups: Groups, everyone: Groups) -> dict[str, Ratio]:
    one = np.ones(len(items))
    distances = calibration(items, known, groups.member)
    return {name: user_ratio(value, one, everyone.member) for name, value in distances.items()}


def _concentration_rows(seeds: Sequence[Tensor], known: Known, everyone: Groups) -> list[Row]:
    found = [concentration(items, known.train.num_items) for items in seeds]
    return [
        constant_row(everyone, "coverage", ALL, [one.coverage for one in found]),
        constant_row(everyone, "gini", ALL, [one.gini for one in found]),
    ]


def _size_rows(groups: Groups, known: Known) -> list[Row]:
    """How large each group is: rows, share of rows, and for items share of training and held-out pairs."""
    ones = np.ones(groups.member.shape[0])
    shares = {"size": groups.member.T @ ones, "share": group_shares(ones, groups.member)}
    if groups.of == "items":
        held_out = known.held_out.pairs[1].bincount(minlength=known.held_out.num_items)
        for name, counts in (("train_share", known.item_users), ("held_out_share", held_out)):
            shares[name] = group_shares(counts.numpy().astype(np.float64), groups.member)
    return [
        constant_row(groups, name, group, [float(value)])
        for name, values in shares.items()
        for group, value in zip(groups.names, values, strict=True)
    ]
