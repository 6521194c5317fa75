"""Shapes and types of the library are checked while the tests run; an int may stand for a float."""

from beartype import BeartypeConf, beartype

typechecker = beartype(conf=BeartypeConf(is_pep484_tower=True))
