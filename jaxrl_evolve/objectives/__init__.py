"""Objectives: what a learner minimises, written or learned, behind one interface.

Names are imported on first use: settings are described without what learns by them.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from jaxrl_evolve.settings.later import on_first_use

if TYPE_CHECKING:
    from jaxrl_evolve.objectives.a2c import a2c
    from jaxrl_evolve.objectives.disco import DiscoConfig, disco
    from jaxrl_evolve.objectives.drift.config import DiscoveredConfig, LPOConfig
    from jaxrl_evolve.objectives.drift.discovered import discovered, discovered_drift
    from jaxrl_evolve.objectives.drift.frame import Drift, drift_objective
    from jaxrl_evolve.objectives.drift.lpo import lpo, lpo_drift, lpo_with_time, random_eta, zero_eta
    from jaxrl_evolve.objectives.lpg import lpg
    from jaxrl_evolve.objectives.lpg_config import LPGConfig
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
    from jaxrl_evolve.objectives.time_config import (
        ClockAblation,
        HorizonRange,
        HorizonWarning,
        TimeFeatures,
    )

_MODULE_OF = {
    "AnyObjective": "objective",
    "ClockAblation": "time_config",
    "DiscoConfig": "disco",
    "DiscoveredConfig": "drift.config",
    "Drift": "drift.frame",
    "HorizonRange": "time_config",
    "HorizonWarning": "time_config",
    "LPGConfig": "lpg_config",
    "LPOConfig": "drift.config",
    "Objective": "objective",
    "ObjectiveBatch": "objective",
    "ObjectiveOutputs": "objective",
    "RuleObjective": "objective",
    "StoredObjective": "stored",
    "TargetObjective": "objective",
    "TimeFeatures": "time_config",
    "a2c": "a2c",
    "disco": "disco",
    "discovered": "drift.discovered",
    "discovered_drift": "drift.discovered",
    "drift_objective": "drift.frame",
    "lpg": "lpg",
    "lpo": "drift.lpo",
    "lpo_drift": "drift.lpo",
    "lpo_with_time": "drift.lpo",
    "ppo_clip": "ppo",
    "random_eta": "drift.lpo",
    "zero_eta": "drift.lpo",
}
_find = on_first_use(__name__, _MODULE_OF)
_ALIASES = {"load_objective": "load", "save_objective": "save"}  # of the module `stored`

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


class _Objectives(ModuleType):
    """The package. Three of its functions bear the names of their modules, and are what these names mean here."""

    def __getattr__(self, name: str) -> Any:
        if name in _ALIASES:
            return getattr(import_module(f"{__name__}.stored"), _ALIASES[name])
        return _find(name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _MODULE_OF and isinstance(value, ModuleType):
            return  # whoever imports a module binds it to its package
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Objectives
