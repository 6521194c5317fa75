"""How many times as fast as its equation each function is: `make bench`.

`rows*.py` say what is compared, `naive*.py` hold the references written from the equations, `timing.py` and `memory.py`
measure.
"""
