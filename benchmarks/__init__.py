"""What things take: a module here is a command that writes a record, `python -m benchmarks.NAME`.

`run` measures the functions against their equations as they read, out of `ratios`; `costs` is the book's page of costs.
"""
