"""A picture for every item of the planted shop, drawn from its image feature: alike features look alike."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from anchorrec_graph.encoders.base import need
from anchorrec_graph.files import replacing
from anchorrec_graph.graph.knn import unit_rows

SIZE, CELLS = 192, 4  # pixels, and cells per side of the pattern


def draw_pictures(data: HeteroData, folder: Path) -> None:
    """Write <item id>.png of every item; those that are there stay.

    The feature's leading directions set the colours of a mirrored pattern, two background and eight cells.

    Raises:
        ConfigError: pillow is missing.
    """
    image, draw = need("PIL.Image", "pillow"), need("PIL.ImageDraw", "pillow")
    for item, row in zip(data["item"].table["item_id"], _leading(data["item"].image), strict=True):
        path = folder / f"{item}.png"
        if path.exists():
            continue
        picture = image.new("RGB", (SIZE, SIZE), _colour(row[:3], 0.85))
        pen, cell = draw.Draw(picture), SIZE // CELLS
        for place, strength in enumerate(row[3:11].tolist()):
            column, line = place % 2, place // 2
            colour = _colour(row[:3].roll(1) * (1 if place % 3 else -1), 0.35 + 0.5 * strength)
            for x in (column, CELLS - 1 - column):
                box = (x * cell + 4, line * cell + 4, (x + 1) * cell - 4, (line + 1) * cell - 4)
                (pen.ellipse if strength > 0.5 else pen.rectangle)(box, fill=colour)
        with replacing(path) as temporary:
            picture.save(temporary, format="PNG")


def _leading(features: Tensor) -> Tensor:
    """11 leading coordinates of every row, in [0, 1] by rank, so that every colour is used."""
    unit = unit_rows(features)[0]
    centred = unit - unit.mean(0)
    basis = torch.linalg.svd(centred, full_matrices=False)[2][:11]
    coordinates = centred @ basis.T
    coordinates = torch.nn.functional.pad(coordinates, (0, 11 - coordinates.shape[1]))
    return coordinates.argsort(0).argsort(0) / max(len(unit) - 1, 1)


def _colour(row: Tensor, light: float) -> tuple[int, int, int]:
    red, green, blue = (int(255 * (0.25 + 0.75 * light * float(abs(part)))) for part in row)
    return min(red, 255), min(green, 255), min(blue, 255)
