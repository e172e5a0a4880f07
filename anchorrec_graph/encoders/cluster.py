"""Batches are encoded on a Ray cluster. Texts and files are read here and sent, rows come back."""

from __future__ import annotations

import functools
import json
import platform
import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import torch

from anchorrec_graph.cluster.connection import Cluster
from anchorrec_graph.cluster.tasks import completed
from anchorrec_graph.encoders.base import Encoder
from anchorrec_graph.encoders.batches import Batch, Encoded, encode_batch
from anchorrec_graph.encoders.pipeline import encoder_key
from anchorrec_graph.errors import ConfigError


class File(NamedTuple):
    """A file that is sent."""

    name: str
    content: bytes


def encode_on(cluster: Cluster, encoder: Encoder, batches: Sequence[Batch]) -> Generator[Encoded, None, None]:
    """Each batch in a task, `cluster.at_once` at a time, with a GPU if the encoder's device is one.

    Every process loads the encoder once; a model that is named by a folder must lie there on each machine.

    Raises:
        ConfigError: a machine cannot load the encoder, or has other weights or packages.
        AnchorRecError: processes were lost.
    """
    settings, key = encoder.model_dump_json(), json.dumps(encoder_key(encoder), sort_keys=True)
    arguments = (
        (type(encoder), settings, key, list(_sent(encoder, batch)), cluster.cpus) for batch in batches
    )
    gpus = int(str(getattr(encoder, "device", "cpu")).startswith("cuda"))
    with closing(completed(cluster, encode_sent, arguments, gpus=gpus)) as outcomes:
        for outcome in outcomes:
            if outcome.error is not None:
                raise outcome.error
            yield outcome.value


def _sent(encoder: Encoder, batch: Batch) -> Iterator[tuple[bytes, str | File]]:
    for value, source in batch:
        yield value, File(source.name, source.read_bytes()) if encoder.kind == "file" else source


def encode_sent(
    kind: type[Encoder], settings: str, key: str, batch: Sequence[tuple[bytes, str | File]], threads: int
) -> Encoded:
    """On a worker: as `encode_batch`, of files that lie in a temporary folder meanwhile."""
    torch.set_num_threads(threads)
    encoder = _loaded(kind, settings, key)
    with tempfile.TemporaryDirectory(prefix="anchorrec-") as home:
        sources: list[tuple[bytes, Any]] = []
        for place, (value, source) in enumerate(batch):
            if isinstance(source, File):
                path = Path(home) / str(place) / source.name
                path.parent.mkdir()
                path.write_bytes(source.content)
                sources.append((value, path))
            else:
                sources.append((value, source))
        return encode_batch(encoder, sources)


@functools.lru_cache(maxsize=1)
def _loaded(kind: type[Encoder], settings: str, key: str) -> Encoder:
    """An encoder that makes the same rows as the one whose key is given."""
    encoder = kind.model_validate_json(settings)
    try:
        encoder.load()
    except ConfigError as error:
        raise ConfigError(f"machine {platform.node()}: {error}") from error
    ours, theirs = json.loads(key), json.loads(json.dumps(encoder_key(encoder)))
    differing = [part for part in ours if ours[part] != theirs[part]]
    if differing:
        raise ConfigError(
            f"machine {platform.node()}: encoder '{encoder.name}' differs in {', '.join(differing)} from the "
            "one here; install the same packages and weights on all machines"
        )
    return encoder
