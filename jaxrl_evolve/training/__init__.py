"""Training of agents: from a configuration to a run folder."""
