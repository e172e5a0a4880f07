from __future__ import annotations

import pytest

from anchorrec_graph.data.ids import Ids
from anchorrec_graph.errors import DataError

USERS = Ids("user", ["b", "a", 7])


def test_rows_are_in_the_order_of_the_names() -> None:
    assert USERS.rows(["7", "b", "b"]).tolist() == [2, 0, 0]
    assert USERS.rows([]).tolist() == []
    assert (USERS.row("a"), USERS.row(7), len(USERS)) == (1, 2, 3)
    assert 7 in USERS
    assert "c" not in USERS


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a", "c"], "^unknown user 'c'; ids look like 'b'$"),
        (["d", "a", "c"], r"^unknown user 'd' \(2 of 3 are unknown\); ids look like 'b'$"),
        ("a", r"^users must be a list of ids: \['a'\]$"),
    ],
)
def test_wrong_names_are_refused(names: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        USERS.rows(names)


def test_an_error_of_no_ids_at_all_says_so() -> None:
    with pytest.raises(DataError, match="unknown item 'x'; there are no items"):
        Ids("item", []).row("x")
