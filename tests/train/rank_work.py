"""What the processes of `rank_world` do. Each leaves what it has found in files of its own."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

import torch
from safetensors.torch import save_file
from tiny_runs import InterruptAfter
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from anchorrec_graph.config import Config, load_config
from anchorrec_graph.data.manifest import content_hash
from anchorrec_graph.errors import AnchorRecError, TrainingError
from anchorrec_graph.evaluate.evaluator import Evaluator
from anchorrec_graph.graph import approximate, knn, row_store
from anchorrec_graph.graph.knn import KnnConfig
from anchorrec_graph.graph.relation import Relation
from anchorrec_graph.graph.sharing import in_turn, shared_by
from anchorrec_graph.models.base import Recommender, build_model
from anchorrec_graph.nn.sharded_table import ShardedTable
from anchorrec_graph.train import ranks as module
from anchorrec_graph.train.fit import fit
from anchorrec_graph.train.ranks import SMALL, Ranks, weights_digest
from anchorrec_graph.train.sharding import Sharding
from anchorrec_graph.train.trainer import Trainer
from anchorrec_graph.typing import Batch, Embeddings


class Parts(Recommender):
    """Parameters that every batch reaches, only some batches reach, and none reaches; terms likewise."""

    def __init__(self, data: HeteroData) -> None:
        super().__init__()
        self.user = nn.Parameter(torch.randn(int(data["user"].num_nodes), 4))
        self.item = nn.Parameter(torch.randn(int(data["item"].num_nodes), 4))
        self.sometimes, self.never = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(2))

    def encode(self) -> Embeddings:
        return Embeddings(self.user, self.item, {})

    def loss_terms(self, batch: Batch) -> dict[str, Tensor]:
        difference = self.item[batch.positive_items] - self.item[batch.negative_items]
        gap = (self.user[batch.users] * difference).sum(1)
        terms = {"gap": nn.functional.softplus(-gap).mean()}
        if int(batch.users.sum()) % 3 == 0:
            terms["rare"] = (self.sometimes * gap.mean()).square().sum()
        if len(batch.users) == 1 and int(batch.users[0]) == 7:
            terms["gap"] = terms["gap"] * torch.nan
        return terms


def trainer_of(ranks: Ranks, config: Config, parts: bool = False) -> Trainer:
    data = config.dataset.load()
    torch.manual_seed(0)
    model = Parts(data) if parts else build_model(config.model, data)
    return Trainer(model, data, config.train, Evaluator(config.evaluate, data, ranks), 0, ranks)


def steps(ranks: Ranks, cases: dict[str, Config], folder: Path) -> None:
    """Train each case for its epochs, step by step; keep every step's terms and every epoch's weights."""
    for name, config in cases.items():
        trainer = trainer_of(ranks, config, parts=name.startswith("parts"))
        real, terms, digests = trainer.step, [], []

        def step(batches: Any, count: int, real: Any = real, terms: list[Any] = terms) -> dict[str, float]:
            terms.append(real(batches, count))
            return terms[-1]  # type: ignore[no-any-return]

        trainer.step = step  # type: ignore[method-assign]
        records = []
        for record in trainer.epochs():
            records.append({key: record[key] for key in ("loss", "terms", "validation")})
            digests.append(content_hash(*trainer.whole(trainer.model.state_dict()).values()))
        adam = len({name.partition("/")[0] for name in trainer.optimizer.state()})
        found = {"steps": terms, "epochs": records, "digests": digests, "adam": adam}
        (folder / f"{name}-{ranks.size}-{ranks.rank}.json").write_text(json.dumps(found))
        held = [len(part.weight) for part in trainer.model.modules() if isinstance(part, ShardedTable)]
        (folder / f"{name}-{ranks.size}-{ranks.rank}.rows").write_text(json.dumps(held))
        weights = trainer.whole(trainer.model.state_dict())
        if ranks.is_first:
            save_file(weights, folder / f"{name}-{ranks.size}.safetensors")


def exchanges(ranks: Ranks) -> None:
    """Everything that ranks tell each other."""
    value = {"rank": ranks.rank, "text": "ü" * 1000 * ranks.rank, "float": 0.1 + 0.2, "nan": [float("inf")]}
    gathered = ranks.gather(value)
    assert [part["rank"] for part in gathered] == list(range(ranks.size))
    assert gathered[ranks.rank] == value
    assert ranks.first(lambda: ranks.rank) == 0
    assert ranks.first(lambda: None) is None
    total, turned = sum(range(ranks.size)), torch.tensor([[1.0, 2.0], [3.0, 4.0]]).T
    one_row = torch.sparse_coo_tensor([[ranks.rank]], [1.0], (ranks.size,))
    tensors = [torch.full((2, 3), 2**53 + ranks.rank), torch.tensor(1.5), turned, one_row]
    tensors += [torch.full((SMALL + 1,), float(ranks.rank)), torch.empty(0)]
    ranks.add(tensors)
    assert tensors[0].unique().tolist() == [2**53 * ranks.size + total]  # through no float
    assert float(tensors[1]) == 1.5 * ranks.size
    assert turned.tolist() == [[ranks.size, 3 * ranks.size], [2 * ranks.size, 4 * ranks.size]]
    assert one_row.to_dense().tolist() == [1] * ranks.size
    assert tensors[4].unique().tolist() == [total]
    ranks.check_equal("the letters", lambda: "a")
    for different in (0, ranks.size - 1):
        letter = "b" if ranks.rank == different else "a"
        message = refusal(lambda letter=letter: ranks.check_equal("the letters", lambda: letter))  # type: ignore[misc]
        assert message == f"the letters differ between the {ranks.size} processes; train with one"


def refusal(work: Callable[[], object]) -> str | None:
    """What a TrainingError says; None without one."""
    try:
        work()
    except TrainingError as error:
        return str(error)
    return None


def one_after_the_other(ranks: Ranks, folder: Path) -> None:
    """The first makes what the others find."""
    made = folder / "made"
    with shared_by(ranks):
        found = in_turn(lambda: made.exists() or made.write_text("x") == 0)
    assert found is (not ranks.is_first)


def item_graphs(ranks: Ranks) -> None:
    """Made together they are, bit for bit, those that one makes alone, and every process does its share."""
    rows = torch.randn(150, 8, generator=torch.Generator().manual_seed(0))
    rows[30:60], rows[7] = rows[0], 0.0  # more equally near items than neighbours, and one without any
    config = KnnConfig.model_validate({"k": 5, "approximate": {"method": "ivf", "least_recall": 0}})

    def made() -> tuple[list[Tensor], list[int]]:
        with (
            patch.object(knn, "keep_nearest", wraps=knn.keep_nearest) as merged,
            patch.object(approximate, "_found", wraps=approximate._found) as searched,
        ):
            exact = knn.knn_edges(rows, config, block_size=8)
            edges, recall = approximate.approximate_knn_edges(rows, config, block_size=8)
        return [*exact, *edges, torch.tensor(recall)], [merged.call_count, searched.call_count]

    expected, all_calls = made()
    with shared_by(ranks):
        found, calls = made()
    for ours, theirs in zip(found, expected, strict=True):
        assert torch.equal(ours, theirs)
    for own, every in zip(calls, all_calls, strict=True):
        assert own < 0.6 * every if ranks.size == 2 else own < 0.45 * every


def graphs_of_a_model(ranks: Ranks, config: Config, folder: Path) -> None:
    """Every process ends with the same graphs, also where only some of them find them in their cache."""
    (folder / str(ranks.rank)).mkdir()
    with patch.dict(os.environ, {"ANCHORREC_CACHE": str(folder / str(ranks.rank))}):
        data = config.dataset.load()
        if ranks.rank == 1:
            build_model(config.model, data)
        with shared_by(ranks):
            model = build_model(config.model, data)
    graphs = [part for part in model.modules() if isinstance(part, Relation)]
    ranks.check_equal("graphs", lambda: content_hash(*(x for graph in graphs for x in graph.csr())))


def evaluation(ranks: Ranks, config: Config, folder: Path) -> None:
    """Split over the ranks, the same bits as alone; and every rank scores only its users."""
    data = config.dataset.load()
    generator = torch.Generator().manual_seed(0)
    users, items = (torch.randn(n, 8, generator=generator) for n in (60, 40))
    items[20:] = items[:20]  # every score twice
    scorer = Counted(users, items)
    alone, split = (
        Evaluator(config.evaluate, data, *given).evaluate(scorer, "test") for given in ([], [ranks])
    )
    assert torch.equal(split.items, alone.items)
    assert split.per_user.equals(alone.per_user)
    assert split.metrics == alone.metrics
    mine = sum(scorer.asked) - len(split.items)
    assert sum(ranks.gather(mine)) == len(split.items)
    (folder / f"scored-{ranks.size}-{ranks.rank}").write_text(str(mine))


class Counted:
    def __init__(self, users: Tensor, items: Tensor) -> None:
        self.users, self.items, self.asked = users, items, list[int]()

    def scores(self, users: Tensor) -> Tensor:
        self.asked.append(len(users))
        return self.users[users] @ self.items.T


def poisoned(ranks: Ranks, config: Config, folder: Path) -> None:
    """A loss that is no number in the second batch only: all ranks stop, with the same words and weights."""
    trainer = trainer_of(ranks, config, parts=True)
    good, bad = (Batch(torch.tensor([u]), torch.tensor([0]), torch.tensor([1])) for u in (1, 7))
    trainer.step(ranks.part([good, good]), 2)
    before = weights_digest(trainer.model)
    (folder / f"error-{ranks.rank}").write_text(
        str(refusal(lambda: trainer.step(ranks.part([good, bad]), 2)))
    )
    assert weights_digest(trainer.model) == before


def own_weights(ranks: Ranks, config: Config) -> None:
    """A model that changes itself in a way of its own on every rank is noticed after the epoch."""
    trainer = trainer_of(ranks, config)
    with torch.no_grad():
        next(trainer.model.parameters())[0, 0] += ranks.rank
    next(trainer.epochs())


def fails_on(ranks: Ranks, failing: int, kind: type[AnchorRecError] = TrainingError) -> None:
    """An error of one rank only, while the others wait for it."""
    if ranks.rank == failing:
        raise kind(f"row 3 is bad, says rank {failing}")
    ranks.wait()


def train_elsewhere(ranks: Ranks, config: Path, folder: Path) -> None:
    """`fit` into a relative folder, from a place of each rank's own, as on machines without a shared one."""
    settings = load_config(config)
    (folder / str(ranks.rank)).mkdir()
    os.chdir(folder / str(ranks.rank))
    with patch("anchorrec_graph.train.fit.SEEN_WITHIN", 0.5):
        fit(settings, settings.dataset.load(), "run", ranks=ranks)


def train_until_step(ranks: Ranks, config: Path, run: Path, steps: int) -> None:
    """`fit`, which all ranks leave in the step after so many."""
    real, taken = Trainer.step, list[int]()

    def step(trainer: Trainer, *arguments: Any) -> Any:
        if len(taken) == steps:
            raise TrainingError("here it ends")
        taken.append(1)
        return real(trainer, *arguments)

    settings = load_config(config)
    with patch.object(Trainer, "step", step):
        fit(settings, settings.dataset.load(), run, ranks=ranks)


def train(ranks: Ranks, config: Path, run: Path, resume: bool = False, stop_after: int = 0) -> None:
    """`fit`; the first rank is interrupted after an epoch if one is named."""
    settings = load_config(config)
    display = InterruptAfter(stop_after) if stop_after else None
    fit(settings, settings.dataset.load(), run, resume, display, ranks)


def rows_on_disk(ranks: Ranks, config: Config, folder: Path) -> None:
    """`fit`; the kinds of rows that this process has written, and those that it has opened."""
    written: list[str] = []
    opened: list[str] = []
    write, cache_path = row_store._write, row_store.cache_path

    def slowly(path: Path, *rest: Any) -> None:
        written.append(opened[-1])
        time.sleep(0.5)  # who does not wait for it makes it too
        write(path, *rest)

    def named(group: str, kind: str, *rest: Any) -> Path:
        opened.append(kind.partition("|")[0])
        return cache_path(group, kind, *rest)

    with (
        patch.dict(os.environ, {"ANCHORREC_CACHE": str(folder / "cache")}),
        patch.object(row_store, "_write", slowly),
        patch.object(row_store, "cache_path", named),
    ):
        fit(config, config.dataset.load(), folder / "run", ranks=ranks)
    (folder / f"rows-{ranks.rank}").write_text(json.dumps([sorted(written), sorted(opened)]))


def nothing_to_cut(ranks: Ranks) -> None:
    """A model without `user` and `item`."""
    model = nn.Bilinear(2, 2, 1)
    Sharding(cast(Recommender, model), Ranks())
    Sharding(cast(Recommender, model), ranks)


def never_comes(seconds: float) -> None:
    """The last rank ends before it has met the others, who do not wait for longer than they should."""
    module.MEETING = timedelta(seconds=seconds)
    if os.environ["RANK"] == "0":
        with module.joined():
            pass


def stalls(seconds: float) -> None:
    """The last rank does not answer in time."""
    module.TIMEOUT = timedelta(seconds=seconds)
    with module.joined() as ranks:
        if not ranks.is_first:
            time.sleep(5 * seconds)
        ranks.wait()
