"""One table of models, seeds and other programs' results, all scored by the same evaluator."""

from anchorrec_graph.compare.comparison import Comparison, compare
from anchorrec_graph.compare.external import read_externals
from anchorrec_graph.compare.formats import as_json, markdown, write_tables
from anchorrec_graph.compare.labels import Entry, read_entries

__all__ = [
    "Comparison",
    "Entry",
    "as_json",
    "compare",
    "markdown",
    "read_entries",
    "read_externals",
    "write_tables",
]
