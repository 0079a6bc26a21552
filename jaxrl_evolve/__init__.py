"""Reinforcement learning in JAX: agents, objectives, curricula and tasks over one trajectory type.

Public names are imported on first use, so that `import jaxrl_evolve` is quick and imports no
environment suite. Functions that bear the name of their module (`rollout`, `render`, `report`, `sweep`)
are found there: ``from jaxrl_evolve.rollout import rollout``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from jaxrl_evolve._cpu import set_xla_flags

if TYPE_CHECKING:
    from jaxrl_evolve._cpu import use_all_cores
    from jaxrl_evolve.algorithms import Algorithm, find_objective
    from jaxrl_evolve.clock import Clock, linear_schedule
    from jaxrl_evolve.config import EvaluationConfig, SinkConfig, TrainConfig
    from jaxrl_evolve.distributions import Categorical, Distribution, Normal, TanhNormal
    from jaxrl_evolve.evaluation import Episodes, make_evaluation
    from jaxrl_evolve.experiment import Experiment, build
    from jaxrl_evolve.learners.learner import Learner
    from jaxrl_evolve.learners.ppo import PPOConfig, PPOHyperparameters, PPOState, ppo
    from jaxrl_evolve.networks import Network, NetworkConfig, make_network
    from jaxrl_evolve.objectives import load_objective, save_objective
    from jaxrl_evolve.objectives.a2c import a2c
    from jaxrl_evolve.objectives.actor_critic import actor_critic_objective
    from jaxrl_evolve.objectives.dpo import DPOConfig, dpo
    from jaxrl_evolve.objectives.drift import drift_objective
    from jaxrl_evolve.objectives.lpo import LPOConfig, lpo
    from jaxrl_evolve.objectives.objective import Objective, ObjectiveBatch, ObjectiveOutputs
    from jaxrl_evolve.objectives.ppo import ppo_clip
    from jaxrl_evolve.objectives.stored import StoredObjective
    from jaxrl_evolve.objectives.time_features import (
        ClockAblation,
        HorizonRange,
        HorizonWarning,
        TimeFeatures,
    )
    from jaxrl_evolve.presets import Preset
    from jaxrl_evolve.returns import VTrace, gae, lambda_returns, n_step_returns, vtrace
    from jaxrl_evolve.training.axes import RunAxis, device_mesh, over_runs, place
    from jaxrl_evolve.training.chunk import Chunk, TrainState, make_chunk
    from jaxrl_evolve.training.loop import Diverged, Interrupted, train
    from jaxrl_evolve.training.outcome import TrainResult
    from jaxrl_evolve.training.restore import Trained, evaluate_folder, load
    from jaxrl_evolve.trajectory import PolicyOutput, Trajectory

__version__ = "0.1.0"

__all__ = [
    "Algorithm",
    "Categorical",
    "Chunk",
    "Clock",
    "ClockAblation",
    "DPOConfig",
    "Distribution",
    "Diverged",
    "Episodes",
    "EvaluationConfig",
    "Experiment",
    "HorizonRange",
    "HorizonWarning",
    "Interrupted",
    "LPOConfig",
    "Learner",
    "Network",
    "NetworkConfig",
    "Normal",
    "Objective",
    "ObjectiveBatch",
    "ObjectiveOutputs",
    "PPOConfig",
    "PPOHyperparameters",
    "PPOState",
    "PolicyOutput",
    "Preset",
    "RunAxis",
    "SinkConfig",
    "StoredObjective",
    "TanhNormal",
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
    "device_mesh",
    "dpo",
    "drift_objective",
    "evaluate_folder",
    "find_objective",
    "gae",
    "lambda_returns",
    "linear_schedule",
    "load",
    "load_objective",
    "lpo",
    "make_chunk",
    "make_evaluation",
    "make_network",
    "n_step_returns",
    "over_runs",
    "place",
    "ppo",
    "ppo_clip",
    "save_objective",
    "train",
    "use_all_cores",
    "vtrace",
]

_MODULE_OF = {
    "Algorithm": "algorithms",
    "Categorical": "distributions",
    "Chunk": "training.chunk",
    "Clock": "clock",
    "ClockAblation": "objectives.time_features",
    "DPOConfig": "objectives.dpo",
    "Distribution": "distributions",
    "Diverged": "training.loop",
    "Episodes": "evaluation",
    "EvaluationConfig": "config",
    "Experiment": "experiment",
    "HorizonRange": "objectives.time_features",
    "HorizonWarning": "objectives.time_features",
    "Interrupted": "training.loop",
    "LPOConfig": "objectives.lpo",
    "Learner": "learners.learner",
    "Network": "networks",
    "NetworkConfig": "networks",
    "Normal": "distributions",
    "Objective": "objectives.objective",
    "ObjectiveBatch": "objectives.objective",
    "ObjectiveOutputs": "objectives.objective",
    "PPOConfig": "learners.ppo",
    "PPOHyperparameters": "learners.ppo",
    "PPOState": "learners.ppo",
    "PolicyOutput": "trajectory",
    "Preset": "presets",
    "RunAxis": "training.axes",
    "SinkConfig": "config",
    "StoredObjective": "objectives.stored",
    "TanhNormal": "distributions",
    "TimeFeatures": "objectives.time_features",
    "TrainConfig": "config",
    "TrainResult": "training.outcome",
    "TrainState": "training.chunk",
    "Trained": "training.restore",
    "Trajectory": "trajectory",
    "VTrace": "returns",
    "a2c": "objectives.a2c",
    "actor_critic_objective": "objectives.actor_critic",
    "build": "experiment",
    "device_mesh": "training.axes",
    "dpo": "objectives.dpo",
    "drift_objective": "objectives.drift",
    "evaluate_folder": "training.restore",
    "find_objective": "algorithms",
    "gae": "returns",
    "lambda_returns": "returns",
    "linear_schedule": "clock",
    "load": "training.restore",
    "load_objective": "objectives",
    "lpo": "objectives.lpo",
    "make_chunk": "training.chunk",
    "make_evaluation": "evaluation",
    "make_network": "networks",
    "n_step_returns": "returns",
    "over_runs": "training.axes",
    "place": "training.axes",
    "ppo": "learners.ppo",
    "ppo_clip": "objectives.ppo",
    "save_objective": "objectives",
    "train": "training.loop",
    "use_all_cores": "_cpu",
    "vtrace": "returns",
}

set_xla_flags()


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF})
