"""Bandits over tasks: a curriculum chooses among finitely many arms, each a task or a kind of tasks."""
