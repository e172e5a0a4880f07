"""The data set card: what the runs were trained and tested on, and what was checked."""

from __future__ import annotations

from anchorrec_graph.evaluate.user_items import PAIRS, positives
from anchorrec_graph.report.blocks import Block, Paragraph, Section, TableBlock, table
from anchorrec_graph.report.sources import Sources


def dataset_section(sources: Sources) -> Section:
    blocks: list[Block] = [_card(sources), _modalities(sources), _split(sources), _checks(sources)]
    blocks += [Paragraph(f"Warning: {text}.") for text in sources.warnings]
    if not sources.warnings:
        blocks.append(Paragraph("Loading the data gave no warning."))
    return Section("data", "Data set", blocks)


def _card(sources: Sources) -> TableBlock:
    task, manifest = sources.task, sources.task.data.manifest
    users, items = task.pairs.users, task.pairs.items
    total = len(positives(task.data, *PAIRS).keys)
    rows = {
        "name": str(manifest["name"]),
        "users": f"{users:,}",
        "items": f"{items:,}",
        "interactions": f"{total:,}",
        "density": f"{100 * total / (users * items):.3f} % of all user-item pairs",
        "columns of the item table": ", ".join(task.data["item"].table.columns),
        "licence": str(manifest.get("licence") or manifest.get("license") or "not stated in its manifest"),
        "content hash": str(manifest["hash"])[:12],
    }
    return _facts("Data set", rows)


def _modalities(sources: Sources) -> TableBlock:
    """Of the data of every run; runs may differ in their modalities."""
    seen: dict[tuple[str, str], list[str]] = {}
    for run in sources.runs:
        for name in run.data.modalities:
            rows = run.data["item"][name]
            missing = int((~rows.bool().any(1)).sum())
            seen[name, run.data.manifest["features"][name]["hash"]] = [
                name,
                f"{rows.shape[1]:,}",
                f"{missing:,} ({100 * missing / len(rows):.1f} %)",
            ]
    rows = list(seen.values()) or [["none", "-", "-"]]
    return table("Modalities", ["modality", "width", "items without (all-zero row)"], rows)


def _split(sources: Sources) -> TableBlock:
    data, task = sources.task.data, sources.task
    rows = []
    for name in PAIRS:
        counts = positives(data, name).counts()
        pairs = int(counts.sum())
        masked = "yes" if name in task.evaluate.mask else "no"
        rows.append([name, f"{pairs:,}", f"{int((counts > 0).sum()):,}", "-" if name == "test" else masked])
    settings = data.manifest["settings"].get("split", {})
    how = ", ".join(f"{key} {value}" for key, value in settings.items() if key != "name")
    title = f"Split: {settings.get('name', 'as labelled by the source')}" + (f" ({how})" if how else "")
    return table(title, ["part", "interactions", "users with any", "taken out of the ranking at test"], rows)


def _checks(sources: Sources) -> TableBlock:
    data = sources.task.data
    train = positives(data, "train")
    rows = {}
    for name in ("validation", "test"):
        user, item = positives(data, name).pairs
        leaked = int(train.contains(user, item[:, None]).sum())
        rows[f"{name} pairs that are also trained on"] = f"{leaked} of {len(user):,}"
    user, item = positives(data, "test").pairs
    both = int(positives(data, "validation").contains(user, item[:, None]).sum())
    rows |= {
        "test pairs that are also in validation": f"{both} of {len(user):,}",
        "ids unique and in range, each pair once": "passed",
        "features finite, one row per item": "passed",
        "data unchanged since training (content hash)": "passed",
        "same interactions, split, masks and metrics in all runs": "passed",
    }
    return _facts("Checks, made when this report was written", rows)


def _facts(caption: str, rows: dict[str, str]) -> TableBlock:
    return table(caption, ["", "value"], [[name, value] for name, value in rows.items()])
