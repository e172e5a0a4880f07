"""What the lists of old items lose to new ones: the other side of benchmarks/cold.py's "all items"."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cold_tables import mean_sd
from torch import Tensor

from anchorrec_graph.evaluate.cold_items import METRICS, ColdItems, NewItems, per_user_metrics
from anchorrec_graph.evaluate.metrics import parse_metric
from anchorrec_graph.evaluate.ranking import top_k
from anchorrec_graph.evaluate.user_items import UserItems, positives
from anchorrec_graph.typing import Scorer


class Cost(NamedTuple):
    """Means over the users who have a validation item among the W old items; these alone are relevant."""

    alone: float  # METRICS[0] with the old items as candidates
    beside: float  # with the n new ones too
    share: float  # of the places of these lists that new items take
    fair: float  # n / (W + n)


def cost(scorer: Scorer, cold: ColdItems, new: NewItems) -> Cost:
    """The cost of a scorer that gives [B, W + n], the new items last."""
    bought, wanted = positives(cold.warm, "train"), positives(cold.warm, "validation")
    users, warm = wanted.counts().nonzero().flatten(), bought.num_items
    number = warm + len(new.table)
    k = parse_metric(METRICS[0]).k
    alone = per_user_metrics(_First(scorer, warm), users, wanted, bought)
    wide_bought, wide_wanted = (
        UserItems.from_pairs(pairs.pairs, len(pairs.counts()), number) for pairs in (bought, wanted)
    )
    beside = per_user_metrics(scorer, users, wide_wanted, wide_bought)
    items = top_k(scorer, users, k, wide_bought).items
    recalls = (statistics.fmean(table[METRICS[0]]) for table in (alone, beside))
    return Cost(*recalls, float((items >= warm).double().mean()), 1 - warm / number)


def cost_text(costs: Mapping[str, Sequence[Cost]]) -> str:
    """One line per label: means over seeds."""
    fair = next(iter(costs.values()))[0].fair
    lines = [
        f"What it costs: {METRICS[0]} of the users' validation items, all of them old, without and with the "
        "new items as candidates, and the share of places that new items take, which are "
        f"{fair:.3f} of all items:",
        "",
        "| model | without | with | loss | share |",
        "|---|---:|---:|---:|---:|",
    ]
    for label, values in costs.items():
        alone, beside, share, _ = (list(column) for column in zip(*values, strict=True))
        loss = 1 - statistics.fmean(beside) / max(statistics.fmean(alone), 1e-12)
        lines.append(
            f"| {label} | {mean_sd(alone)} | {mean_sd(beside)} | {100 * loss:.1f} % | "
            f"{statistics.fmean(share):.3f} |"
        )
    return "\n".join(lines) + "\n"


class _First(NamedTuple):
    """A scorer without its last items."""

    scorer: Scorer
    count: int

    def scores(self, users: Tensor) -> Tensor:
        return self.scorer.scores(users)[:, : self.count]
