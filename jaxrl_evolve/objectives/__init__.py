"""Objectives: what a learner minimises, written or learned, behind one interface."""

from jaxrl_evolve.objectives.a2c import a2c
from jaxrl_evolve.objectives.disco import DiscoConfig, disco
from jaxrl_evolve.objectives.drift.discovered import DPOConfig, dpo, dpo_drift
from jaxrl_evolve.objectives.drift.frame import Drift, drift_objective
from jaxrl_evolve.objectives.drift.lpo import LPOConfig, lpo, lpo_drift, random_eta, with_time, zero_eta
from jaxrl_evolve.objectives.lpg import LPGConfig, lpg
from jaxrl_evolve.objectives.objective import Objective, ObjectiveBatch, ObjectiveOutputs
from jaxrl_evolve.objectives.ppo import ppo_clip
from jaxrl_evolve.objectives.stored import StoredObjective
from jaxrl_evolve.objectives.stored import load as load_objective
from jaxrl_evolve.objectives.stored import save as save_objective
from jaxrl_evolve.objectives.time_features import (
    ClockAblation,
    HorizonRange,
    HorizonWarning,
    TimeFeatures,
)

__all__ = [
    "ClockAblation",
    "DPOConfig",
    "DiscoConfig",
    "Drift",
    "HorizonRange",
    "HorizonWarning",
    "LPGConfig",
    "LPOConfig",
    "Objective",
    "ObjectiveBatch",
    "ObjectiveOutputs",
    "StoredObjective",
    "TimeFeatures",
    "a2c",
    "disco",
    "dpo",
    "dpo_drift",
    "drift_objective",
    "load_objective",
    "lpg",
    "lpo",
    "lpo_drift",
    "ppo_clip",
    "random_eta",
    "save_objective",
    "with_time",
    "zero_eta",
]
