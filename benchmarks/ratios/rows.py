"""All rows of the table by name, in its order."""

from benchmarks.ratios import rows_data, rows_metrics, rows_model, rows_refinement
from benchmarks.ratios.row import Row

ROWS: dict[str, Row] = {
    row.name: row for row in (*rows_refinement.ROWS, *rows_model.ROWS, *rows_data.ROWS, *rows_metrics.ROWS)
}


def chosen(names: list[str]) -> list[Row]:
    """The rows of some names, all of them for none.

    Raises:
        ValueError: a name that no row has; the sentence lists those there are.
    """
    unknown = [name for name in names if name not in ROWS]
    if unknown:
        raise ValueError(f"`row` must be one of {', '.join(ROWS)}; got {', '.join(unknown)}.")
    return [ROWS[name] for name in names or ROWS]
