"""`Dataset`: the extension point for data sources, and the one container that models see."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch_geometric.data import HeteroData

from anchorrec_graph.data.checks import DataWarning, check_raw_data, check_split
from anchorrec_graph.data.features import widened
from anchorrec_graph.data.manifest import dataset_manifest
from anchorrec_graph.data.raw import TEST, TRAIN, VALIDATION, RawData
from anchorrec_graph.data.split import SPLITS, RandomSplitConfig, SplitConfig
from anchorrec_graph.errors import DataError
from anchorrec_graph.registry import Registry, registered
from anchorrec_graph.settings import Settings

INTERACTS = ("user", "interacts", "item")


class DatasetConfig(Settings, ABC):
    """Settings of a data source. Subclasses add a `name` literal and implement `read`."""

    name: str
    split: Annotated[SplitConfig, *registered(SPLITS)] = RandomSplitConfig()
    modalities: tuple[str, ...] | None = None  # None: all that the source has

    @abstractmethod
    def read(self) -> RawData:
        """Read the source's files.

        Raises:
            DataError: a file is missing or malformed.
        """

    def load(self) -> HeteroData:
        """Read, check, split, and return the container that models and evaluation use.

        Data with a split of their own (`RawData.label`) keep it; a `split` that is set then gives a warning.

        Returns a `HeteroData` with
            user:  num_nodes, ids (array of str)
            item:  num_nodes, table (polars, first column item_id), one float32 tensor per modality, or
                float16 of a memory map; read them by `native_features`
            (user, interacts, item):  edge_index [2, E] with TRAINING pairs only,
                val_edge_label_index, test_edge_label_index [2, E'] int64; time [E] when known
            modalities: tuple of names;  manifest: dict of content hashes

        Raises:
            DataError: see `anchorrec_graph.data.checks`.
        """
        raw = select_modalities(self.read(), self.modalities)
        check_raw_data(raw)
        if raw.label is not None and self.split != RandomSplitConfig():
            message = f"dataset.split '{self.split.name}' has no effect: the data bring a split of their own"
            warnings.warn(DataWarning(message), stacklevel=2)
        label = raw.label if raw.label is not None else self.split.assign(raw.interactions)
        check_split(raw, label)
        data = to_hetero_data(raw, label)
        data.manifest = dataset_manifest(self, raw, label)
        return data


DATASETS: Registry[type[DatasetConfig]] = Registry("dataset")


def select_modalities(raw: RawData, modalities: tuple[str, ...] | None) -> RawData:
    """Keep the named modalities, in that order.

    Raises:
        DataError: a name that the source does not have.
    """
    if modalities is None:
        return raw
    for name in modalities:
        if name not in raw.features:
            raise DataError(
                f"modality '{name}' is named in dataset.modalities, but the source has: "
                f"{', '.join(raw.features) or 'none'}"
            )
    return raw._replace(features={name: raw.features[name] for name in modalities})


def to_hetero_data(raw: RawData, label: NDArray[np.int64]) -> HeteroData:
    """Pack checked data and its split [n] into the leak-safe container (see `DatasetConfig.load`)."""
    data = HeteroData()
    data["user"].num_nodes = len(raw.user_ids)
    data["user"].ids = raw.user_ids
    data["item"].num_nodes = len(raw.items)
    data["item"].table = raw.items
    for modality, rows in raw.features.items():
        dtype = np.float16 if isinstance(rows, np.memmap) and rows.dtype == np.float16 else np.float32
        data["item"][modality] = torch.from_numpy(np.require(rows, dtype, ["C", "W"]))
    pairs = np.stack([raw.interactions.user, raw.interactions.item])
    edges = data[INTERACTS]
    edges.edge_index = torch.from_numpy(pairs[:, label == TRAIN])
    edges.val_edge_label_index = torch.from_numpy(pairs[:, label == VALIDATION])
    edges.test_edge_label_index = torch.from_numpy(pairs[:, label == TEST])
    if raw.interactions.time is not None:
        edges.time = torch.from_numpy(raw.interactions.time[label == TRAIN])
    data.modalities = tuple(raw.features)
    return data


def native_features(data: HeteroData) -> dict[str, Tensor]:
    """The features [I, D_m] of every modality, in float32 at least: half floats of a memory map as a copy."""
    return {modality: widened(data["item"][modality]) for modality in data.modalities}
