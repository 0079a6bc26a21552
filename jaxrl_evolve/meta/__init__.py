"""Meta-training: objectives that improve by what becomes of the agents that learn by them."""
