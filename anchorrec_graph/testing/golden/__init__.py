"""Public implementations that golden files come from, one per file."""

from anchorrec_graph.testing.golden.alignrec import ALIGNREC
from anchorrec_graph.testing.golden.anchorrec import ANCHORREC
from anchorrec_graph.testing.golden.base import Reference
from anchorrec_graph.testing.golden.bm3 import BM3
from anchorrec_graph.testing.golden.freedom import FREEDOM
from anchorrec_graph.testing.golden.lattice import LATTICE
from anchorrec_graph.testing.golden.lightgcn import LIGHTGCN
from anchorrec_graph.testing.golden.mgcn import MGCN
from anchorrec_graph.testing.golden.smore import SMORE
from anchorrec_graph.testing.golden.vbpr import VBPR

__all__ = ["REFERENCES", "Reference"]

REFERENCES: dict[str, Reference] = {
    "alignrec": ALIGNREC,
    "anchorrec": ANCHORREC,
    "freedom": FREEDOM,
    "lattice": LATTICE,
    "lightgcn": LIGHTGCN,
    "mgcn": MGCN,
    "bm3": BM3,
    "smore": SMORE,
    "vbpr": VBPR,
}
