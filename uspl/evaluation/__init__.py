"""Section 4.2: named protocols, the scorer, and what stands beside a score."""
