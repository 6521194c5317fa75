"""Tables in Markdown: every cell as it was given, on one line, in its own column."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uspl.core.tables import markdown_table

WORDS = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=8)


@given(st.lists(st.tuples(WORDS, WORDS, WORDS), max_size=4), st.booleans())
def test_cells_come_back(rows: list[tuple[str, ...]], right: bool) -> None:
    _, line, *body = markdown_table(["a", "b", "a"], rows, right=right).splitlines()
    assert re.fullmatch(r"\|(:?-+:?\|){3}", line)
    found = [[cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", text)[1:-1]] for text in body]
    assert found == [[*row] for row in rows] or any("\\" in cell for row in rows for cell in row)


def test_numbers_stay_as_they_were_written() -> None:
    table = markdown_table(["", "mIoU"], [["1e5", "0.50"], ["007", -3], ["two\nlines", None]], right=True)
    assert table.splitlines() == [
        "|           |   mIoU |",
        "|:----------|-------:|",
        "| 1e5       |   0.50 |",
        "| 007       |     -3 |",
        "| two lines |   None |",
    ]


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`rows` must have 2 cells each, as `head`; got \['1'\]"):
        markdown_table(["a", "b"], [["1"]])
