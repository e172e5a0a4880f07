"""Hashes: equal content, equal hash; any change of content, another hash."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from anchorrec_graph.data.manifest import content_hash, dataset_manifest
from anchorrec_graph.data.planted import PlantedConfig
from anchorrec_graph.data.raw import RawData

CONFIG = PlantedConfig(num_users=20, num_items=15, interactions_per_user=6, num_clusters=3)
arrays = hnp.arrays(
    st.sampled_from([np.float32, np.int64, np.float16]),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0),
    elements=st.integers(-5, 5),
)


@pytest.fixture(scope="module")
def raw() -> RawData:
    return CONFIG.read()


def manifest(raw: RawData, label: np.ndarray | None = None) -> dict[str, object]:
    return dataset_manifest(CONFIG, raw, CONFIG.split.assign(raw.interactions) if label is None else label)


def test_content_hash_is_sha256_of_dtype_shape_and_bytes() -> None:
    values = np.array([[1, 2], [3, 4]], dtype="<i8")
    assert content_hash(values) == hashlib.sha256(b"<i8(2, 2)" + values.tobytes()).hexdigest()


@given(arrays, arrays)
def test_hashes_are_equal_exactly_when_dtype_shape_and_values_are(a: np.ndarray, b: np.ndarray) -> None:
    same = a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    assert (content_hash(a) == content_hash(b)) == same


@given(arrays)
def test_tensor_layout_and_byte_order_do_not_matter(a: np.ndarray) -> None:
    expected = content_hash(a)
    assert content_hash(torch.from_numpy(a.copy())) == expected
    assert content_hash(a.astype(a.dtype.newbyteorder(">"))) == expected
    assert content_hash(a.copy(order="F")) == expected


def test_arrays_are_hashed_one_by_one() -> None:
    one, two = np.arange(3), np.arange(3, 6)
    assert content_hash(one, two) != content_hash(two, one)
    assert content_hash(one, two) != content_hash(np.arange(6))


def test_a_memory_map_hashes_like_its_array(tmp_path) -> None:
    values = np.random.default_rng(0).random((7, 3))
    np.save(tmp_path / "x.npy", values)
    assert content_hash(np.load(tmp_path / "x.npy", mmap_mode="r")) == content_hash(values)


def test_arrays_of_objects_are_refused() -> None:
    with pytest.raises(TypeError, match="object"):
        content_hash(np.array(["a", None], dtype=object))


def test_manifest_counts_and_is_json(raw: RawData) -> None:
    label = CONFIG.split.assign(raw.interactions)
    got = manifest(raw, label)
    assert json.loads(json.dumps(got)) == got
    assert got["name"] == "planted"
    assert got["counts"] == {
        "users": 20,
        "items": 15,
        "train": int((label == 0).sum()),
        "validation": int((label == 1).sum()),
        "test": int((label == 2).sum()),
    }
    assert got["settings"] == CONFIG.model_dump(mode="json")
    assert got["features"]["image"] == {"shape": [15, 48], "hash": content_hash(raw.features["image"])}
    assert got == manifest(CONFIG.read(), label)


def test_the_hash_follows_content_and_not_settings(raw: RawData) -> None:
    label = CONFIG.split.assign(raw.interactions)
    other = dataset_manifest(CONFIG.model_copy(update={"modalities": ("image", "text")}), raw, label)
    assert other["settings"] != manifest(raw)["settings"]
    assert other["hash"] == manifest(raw)["hash"]


@pytest.mark.parametrize(
    "part", ["user", "item", "time", "rating", "user_ids", "items", "features", "name", "split"]
)
def test_every_part_of_the_content_changes_the_hash(raw: RawData, part: str) -> None:
    label = CONFIG.split.assign(raw.interactions)
    changed, changed_label = raw, label
    if part in ("user", "item", "time"):
        values = getattr(raw.interactions, part).copy()
        values[0] += 1
        changed = raw._replace(interactions=raw.interactions._replace(**{part: values}))
    elif part == "rating":
        rating = np.ones(len(label), dtype=np.float32)
        changed = raw._replace(interactions=raw.interactions._replace(rating=rating))
    elif part == "user_ids":
        changed = raw._replace(user_ids=raw.user_ids[::-1])
    elif part == "items":
        changed = raw._replace(items=raw.items.with_columns(pl.lit("x").alias("title")))
    elif part == "features":
        changed = raw._replace(features={**raw.features, "text": raw.features["text"] * 2})
    elif part == "name":
        changed = raw._replace(features={"image": raw.features["image"], "words": raw.features["text"]})
    else:
        changed_label = np.roll(label, 1)  # the counts stay
    assert manifest(changed, changed_label)["hash"] != manifest(raw, label)["hash"]
