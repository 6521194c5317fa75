"""VGGSound from the web: the official table, each video asked for once, and what a refusal means."""
