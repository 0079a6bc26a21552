"""Wrappers: pure functions from one environment to another, ``Env -> Env``.

They compose, batch and vmap like any environment; what they add to the parameters is traced data, and what they carry
is in the state, so a reset begins it anew. A wrapper that has parameters of its own holds those of the environment
inside as ``params.env``.
"""

from jaxrl_envs.wrappers.actions import flatten_actions, rescale_actions, sticky_actions
from jaxrl_envs.wrappers.limits import time_limit
from jaxrl_envs.wrappers.named import WRAPPERS, wrapped
from jaxrl_envs.wrappers.observations import flatten_observations, frame_stack
from jaxrl_envs.wrappers.rewards import clip_rewards, scale_rewards
from jaxrl_envs.wrappers.time_aware import time_aware
from jaxrl_envs.wrappers.variants import variants
from jaxrl_envs.wrappers.vary import level_seeds, vary_params

__all__ = [
    "WRAPPERS",
    "clip_rewards",
    "flatten_actions",
    "flatten_observations",
    "frame_stack",
    "level_seeds",
    "rescale_actions",
    "scale_rewards",
    "sticky_actions",
    "time_aware",
    "time_limit",
    "variants",
    "vary_params",
    "wrapped",
]
