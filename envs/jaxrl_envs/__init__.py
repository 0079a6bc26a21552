"""JAX environments behind one contract: adapters, registry, reset policies and a contract check.

Importing this package imports no environment suite; `make` imports the one it is asked for.
"""

from typing import TYPE_CHECKING, Any

from jaxrl_envs.adapters.brax import from_brax
from jaxrl_envs.adapters.gymnax import from_gymnax
from jaxrl_envs.contract import Env, EnvStep
from jaxrl_envs.registry import available, make, register
from jaxrl_envs.spaces import Box, Discrete, Space
from jaxrl_envs.stable import stabilise
from jaxrl_envs.wrappers import (
    clip_rewards,
    flatten_actions,
    flatten_observations,
    frame_stack,
    rescale_actions,
    scale_rewards,
    sticky_actions,
    time_limit,
)

if TYPE_CHECKING:
    from jaxrl_envs.check import EnvError, check_env

__all__ = [
    "Box",
    "Discrete",
    "Env",
    "EnvError",
    "EnvStep",
    "Space",
    "available",
    "check_env",
    "clip_rewards",
    "flatten_actions",
    "flatten_observations",
    "frame_stack",
    "from_brax",
    "from_gymnax",
    "make",
    "register",
    "rescale_actions",
    "scale_rewards",
    "stabilise",
    "sticky_actions",
    "time_limit",
]


def __getattr__(name: str) -> Any:
    # Loaded on demand, so that `python -m jaxrl_envs.check` does not find itself already imported.
    if name in ("EnvError", "check_env"):
        from jaxrl_envs.check import EnvError, check_env

        return {"EnvError": EnvError, "check_env": check_env}[name]
    raise AttributeError(f"module 'jaxrl_envs' has no attribute {name!r}")
