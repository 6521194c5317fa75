"""What the method costs: the records behind the book's page, `python -m benchmarks.costs [PART ...]`.

Weights are random, they do not change what anything costs. The clock is the processor's, on one thread unless a record
says more, so other work on the machine hardly shows.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # a thread that waits takes no processor time
