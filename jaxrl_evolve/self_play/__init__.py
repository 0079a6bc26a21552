"""Self-play compared: methods on games of preference at equal queries, and their report."""
