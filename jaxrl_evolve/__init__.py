"""Reinforcement learning in JAX: agents, objectives, curricula and tasks over one trajectory type.

Public names are imported on first use, so that `import jaxrl_evolve` is quick and imports no
environment suite. Functions that bear the name of their module (`rollout`, `render`, `report`, `sweep`)
are found there: ``from jaxrl_evolve.runs.rollout import rollout``.
"""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

from jaxrl_evolve._cpu import set_xla_flags

if TYPE_CHECKING:
    from jaxrl_evolve._cpu import use_all_cores
    from jaxrl_evolve.algorithms.algorithm import Algorithm, Preset
    from jaxrl_evolve.clock import Clock, linear_schedule
    from jaxrl_evolve.compilation import forget_programs, use_compilation_cache
    from jaxrl_evolve.experience.returns import VTrace, gae, lambda_returns, n_step_returns, vtrace
    from jaxrl_evolve.learners.learner import Learner, Store
    from jaxrl_evolve.learners.ppo import PPOState, ppo
    from jaxrl_evolve.learners.ppo_config import PPOConfig, PPOHyperparameters
    from jaxrl_evolve.networks.check import check_network
    from jaxrl_evolve.networks.distributions import Categorical, Distribution, Normal, TanhNormal
    from jaxrl_evolve.networks.network import Latents, MakeNetwork, Network, NetworkConfig
    from jaxrl_evolve.networks.table import make_network
    from jaxrl_evolve.objectives import load_objective, save_objective
    from jaxrl_evolve.objectives.a2c import a2c
    from jaxrl_evolve.objectives.actor_critic import actor_critic_objective
    from jaxrl_evolve.objectives.drift.config import DiscoveredConfig, LPOConfig
    from jaxrl_evolve.objectives.drift.discovered import discovered
    from jaxrl_evolve.objectives.drift.frame import drift_objective
    from jaxrl_evolve.objectives.drift.lpo import lpo
    from jaxrl_evolve.objectives.families import ObjectiveFamily
    from jaxrl_evolve.objectives.kinds import find_objective
    from jaxrl_evolve.objectives.objective import (
        AnyObjective,
        Objective,
        ObjectiveBatch,
        ObjectiveOutputs,
        RuleObjective,
        TargetObjective,
    )
    from jaxrl_evolve.objectives.ppo import ppo_clip
    from jaxrl_evolve.objectives.representation import (
        MakeRepresentation,
        Representation,
        RepresentationBatch,
    )
    from jaxrl_evolve.objectives.self_predictive import self_predictive
    from jaxrl_evolve.objectives.stored import StoredObjective
    from jaxrl_evolve.objectives.time_config import (
        ClockAblation,
        HorizonRange,
        HorizonWarning,
        TimeFeatures,
    )
    from jaxrl_evolve.runs.axes import RunAxis, device_mesh, over_runs, place
    from jaxrl_evolve.runs.check import check_learner
    from jaxrl_evolve.runs.chunk import Chunk, TrainState, make_chunk
    from jaxrl_evolve.runs.evaluation import Episodes, make_evaluation
    from jaxrl_evolve.runs.lived import Lived
    from jaxrl_evolve.runs.policy import Policy, make_policy
    from jaxrl_evolve.runs.tasks import Assignment, Curriculum, Openings, Scouts
    from jaxrl_evolve.settings.checks import Above, AtLeast, Between, NotEmpty
    from jaxrl_evolve.storage.sinks import Sink
    from jaxrl_evolve.training.callbacks import Callback, Moment
    from jaxrl_evolve.training.config import EvaluationConfig, SinkConfig, TrainConfig
    from jaxrl_evolve.training.experiment import Experiment, build
    from jaxrl_evolve.training.extend import extend
    from jaxrl_evolve.training.interrupts import Diverged, Interrupted
    from jaxrl_evolve.training.outcome import TrainResult
    from jaxrl_evolve.training.register import register
    from jaxrl_evolve.training.restore import Trained, evaluate_folder, load
    from jaxrl_evolve.training.train import train
    from jaxrl_evolve.trajectory import PolicyOutput, Trajectory

__version__ = "0.1.0"

__all__ = [
    "Above",
    "Algorithm",
    "AnyObjective",
    "Assignment",
    "AtLeast",
    "Between",
    "Callback",
    "Categorical",
    "Chunk",
    "Clock",
    "ClockAblation",
    "Curriculum",
    "DiscoveredConfig",
    "Distribution",
    "Diverged",
    "Episodes",
    "EvaluationConfig",
    "Experiment",
    "HorizonRange",
    "HorizonWarning",
    "Interrupted",
    "LPOConfig",
    "Latents",
    "Learner",
    "Lived",
    "MakeNetwork",
    "MakeRepresentation",
    "Moment",
    "Network",
    "NetworkConfig",
    "Normal",
    "NotEmpty",
    "Objective",
    "ObjectiveBatch",
    "ObjectiveFamily",
    "ObjectiveOutputs",
    "Openings",
    "PPOConfig",
    "PPOHyperparameters",
    "PPOState",
    "Policy",
    "PolicyOutput",
    "Preset",
    "Representation",
    "RepresentationBatch",
    "RuleObjective",
    "RunAxis",
    "Scouts",
    "Sink",
    "SinkConfig",
    "Store",
    "StoredObjective",
    "TanhNormal",
    "TargetObjective",
    "TimeFeatures",
    "TrainConfig",
    "TrainResult",
    "TrainState",
    "Trained",
    "Trajectory",
    "VTrace",
    "__version__",
    "a2c",
    "actor_critic_objective",
    "build",
    "check_learner",
    "check_network",
    "device_mesh",
    "discovered",
    "drift_objective",
    "evaluate_folder",
    "extend",
    "find_objective",
    "forget_programs",
    "gae",
    "lambda_returns",
    "linear_schedule",
    "load",
    "load_objective",
    "lpo",
    "make_chunk",
    "make_evaluation",
    "make_network",
    "make_policy",
    "n_step_returns",
    "over_runs",
    "place",
    "ppo",
    "ppo_clip",
    "register",
    "save_objective",
    "self_predictive",
    "train",
    "use_all_cores",
    "use_compilation_cache",
    "vtrace",
]

_MODULE_OF = {
    "Above": "settings.checks",
    "Algorithm": "algorithms.algorithm",
    "AnyObjective": "objectives.objective",
    "Assignment": "runs.tasks",
    "AtLeast": "settings.checks",
    "Between": "settings.checks",
    "Callback": "training.callbacks",
    "Categorical": "networks.distributions",
    "Chunk": "runs.chunk",
    "Clock": "clock",
    "ClockAblation": "objectives.time_config",
    "Curriculum": "runs.tasks",
    "DiscoveredConfig": "objectives.drift.config",
    "Distribution": "networks.distributions",
    "Diverged": "training.interrupts",
    "Episodes": "runs.evaluation",
    "EvaluationConfig": "training.config",
    "Experiment": "training.experiment",
    "HorizonRange": "objectives.time_config",
    "HorizonWarning": "objectives.time_config",
    "Interrupted": "training.interrupts",
    "LPOConfig": "objectives.drift.config",
    "Latents": "networks.network",
    "Learner": "learners.learner",
    "Lived": "runs.lived",
    "MakeNetwork": "networks.network",
    "MakeRepresentation": "objectives.representation",
    "Moment": "training.callbacks",
    "Network": "networks.network",
    "NetworkConfig": "networks.network",
    "Normal": "networks.distributions",
    "NotEmpty": "settings.checks",
    "Objective": "objectives.objective",
    "ObjectiveBatch": "objectives.objective",
    "ObjectiveFamily": "objectives.families",
    "ObjectiveOutputs": "objectives.objective",
    "Openings": "runs.tasks",
    "PPOConfig": "learners.ppo_config",
    "PPOHyperparameters": "learners.ppo_config",
    "PPOState": "learners.ppo",
    "Policy": "runs.policy",
    "PolicyOutput": "trajectory",
    "Preset": "algorithms.algorithm",
    "Representation": "objectives.representation",
    "RepresentationBatch": "objectives.representation",
    "RuleObjective": "objectives.objective",
    "RunAxis": "runs.axes",
    "Scouts": "runs.tasks",
    "Sink": "storage.sinks",
    "SinkConfig": "training.config",
    "Store": "learners.learner",
    "StoredObjective": "objectives.stored",
    "TanhNormal": "networks.distributions",
    "TargetObjective": "objectives.objective",
    "TimeFeatures": "objectives.time_config",
    "TrainConfig": "training.config",
    "TrainResult": "training.outcome",
    "TrainState": "runs.chunk",
    "Trained": "training.restore",
    "Trajectory": "trajectory",
    "VTrace": "experience.returns",
    "a2c": "objectives.a2c",
    "actor_critic_objective": "objectives.actor_critic",
    "build": "training.experiment",
    "check_learner": "runs.check",
    "check_network": "networks.check",
    "device_mesh": "runs.axes",
    "discovered": "objectives.drift.discovered",
    "drift_objective": "objectives.drift.frame",
    "evaluate_folder": "training.restore",
    "extend": "training.extend",
    "find_objective": "objectives.kinds",
    "forget_programs": "compilation",
    "gae": "experience.returns",
    "lambda_returns": "experience.returns",
    "linear_schedule": "clock",
    "load": "training.restore",
    "load_objective": "objectives",
    "lpo": "objectives.drift.lpo",
    "make_chunk": "runs.chunk",
    "make_evaluation": "runs.evaluation",
    "make_network": "networks.table",
    "make_policy": "runs.policy",
    "n_step_returns": "experience.returns",
    "over_runs": "runs.axes",
    "place": "runs.axes",
    "ppo": "learners.ppo",
    "ppo_clip": "objectives.ppo",
    "register": "training.register",
    "save_objective": "objectives",
    "self_predictive": "objectives.self_predictive",
    "train": "training.train",
    "use_all_cores": "_cpu",
    "use_compilation_cache": "compilation",
    "vtrace": "experience.returns",
}

_RENAMED = {"DPOConfig": "DiscoveredConfig", "dpo": "discovered"}  # old names, which work for one release

set_xla_flags()


def __getattr__(name: str) -> Any:
    if name in _RENAMED:
        new = _RENAMED[name]
        warnings.warn(f"jaxrl_evolve.{name} is called {new} now", DeprecationWarning, stacklevel=2)
        return getattr(import_module(__name__), new)
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF})
