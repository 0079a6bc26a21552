"""The command ``jaxrl-evolve``."""
