"""Learners: pure functions over a state, see `learners.learner`."""
