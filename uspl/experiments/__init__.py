"""Studies, sweeps and the tables that are made of their records."""
