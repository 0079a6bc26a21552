"""Objectives: what a learner minimises, written or learned, behind one interface."""

from jaxrl_evolve.objectives.a2c import a2c
from jaxrl_evolve.objectives.disco import DiscoConfig, disco
from jaxrl_evolve.objectives.drift.discovered import DiscoveredConfig, discovered, discovered_drift
from jaxrl_evolve.objectives.drift.frame import Drift, drift_objective
from jaxrl_evolve.objectives.drift.lpo import LPOConfig, lpo, lpo_drift, lpo_with_time, random_eta, zero_eta
from jaxrl_evolve.objectives.lpg import LPGConfig, lpg
from jaxrl_evolve.objectives.objective import (
    AnyObjective,
    Objective,
    ObjectiveBatch,
    ObjectiveOutputs,
    RuleObjective,
    TargetObjective,
)
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
    "AnyObjective",
    "ClockAblation",
    "DiscoConfig",
    "DiscoveredConfig",
    "Drift",
    "HorizonRange",
    "HorizonWarning",
    "LPGConfig",
    "LPOConfig",
    "Objective",
    "ObjectiveBatch",
    "ObjectiveOutputs",
    "RuleObjective",
    "StoredObjective",
    "TargetObjective",
    "TimeFeatures",
    "a2c",
    "disco",
    "discovered",
    "discovered_drift",
    "drift_objective",
    "load_objective",
    "lpg",
    "lpo",
    "lpo_drift",
    "lpo_with_time",
    "ppo_clip",
    "random_eta",
    "save_objective",
    "zero_eta",
]
