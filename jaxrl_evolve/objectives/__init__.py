"""Objectives: what a learner minimises, written or learned, behind one interface."""

from jaxrl_evolve.objectives.a2c import a2c
from jaxrl_evolve.objectives.objective import Objective, ObjectiveBatch, ObjectiveOutputs
from jaxrl_evolve.objectives.ppo import ppo_clip

__all__ = ["Objective", "ObjectiveBatch", "ObjectiveOutputs", "a2c", "ppo_clip"]
