"""Tables as text."""

from collections.abc import Iterable, Sequence


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[object]], *, right: bool = False) -> str:
    r"""A table in Markdown; cells are shown as `str` writes them, with `|` escaped and on one line.

    Args:
        head: titles of the columns.
        rows: as many cells each as there are columns.
        right: put every column but the first to the right, as for numbers.

    Raises:
        ValueError: a row of another length.

    >>> print(markdown_table(["map", "mIoU"], [["`m`", "0.50"], ["a|b", 2]], right=True))
    | map   |   mIoU |
    |:------|-------:|
    | `m`   |   0.50 |
    | a\|b  |      2 |
    """
    import pandas as pd  # half a second, and most runs write no table

    cells = [[" ".join(str(cell).splitlines()).replace("|", r"\|") for cell in row] for row in rows]
    for row in cells:
        if len(row) != len(head):
            raise ValueError(f"`rows` must have {len(head)} cells each, as `head`; got {row}.")
    sides = ["left", *["right" if right else "left"] * (len(head) - 1)]
    frame = pd.DataFrame(cells, columns=list(head), dtype=str)
    return str(frame.to_markdown(index=False, disable_numparse=True, colalign=sides if cells else None))
