"""The paper's Tables 1 to 8 and section 4.1 as data: every number as it is printed."""

import json
from pathlib import Path
from typing import Any


def read() -> dict[str, Any]:
    """Sentences of section 4.1 with their fields, and the rows of each table.

    >>> read()["table8"]["rows"][0]
    {'beta': 1, 't': 1, 'miou': 39.53}
    """
    tables: dict[str, Any] = json.loads(Path(__file__).with_name("paper_tables.json").read_text())
    return tables
