"""The paper's tables and its Fig. 4 as commands: cells, their runner, what they gave, which claims held."""
