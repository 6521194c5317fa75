"""Section 4.2: the published ways to score maps, a family a file, found by name."""

from uspl.evaluation.protocols.registry import named, names

__all__ = ["named", "names"]
