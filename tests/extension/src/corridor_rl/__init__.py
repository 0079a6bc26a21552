"""What another distribution adds to jaxrl_evolve: an environment, an objective, a learner."""
