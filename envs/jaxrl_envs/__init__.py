"""JAX environments behind one contract: adapters, registry, reset policies and a contract check.

Importing this package imports no environment suite; `make` imports the one it is asked for. Names are imported on first
use, so that environments are listed without jax.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxrl_envs.abstract import EnvError
    from jaxrl_envs.adapters.brax import from_brax
    from jaxrl_envs.adapters.gymnax import from_gymnax
    from jaxrl_envs.check import check_env
    from jaxrl_envs.contract import Arms, Builder, Env, EnvStep
    from jaxrl_envs.registry import available, make, register
    from jaxrl_envs.spaces import Box, Discrete, Space
    from jaxrl_envs.stable import stabilise
    from jaxrl_envs.wrappers import (
        clip_rewards,
        flatten_actions,
        flatten_observations,
        frame_stack,
        level_seeds,
        rescale_actions,
        scale_rewards,
        sticky_actions,
        time_aware,
        time_limit,
        variants,
        vary_params,
    )

_MODULE_OF = {
    "Arms": "contract",
    "Box": "spaces",
    "Builder": "contract",
    "Discrete": "spaces",
    "Env": "contract",
    "EnvError": "abstract",
    "EnvStep": "contract",
    "Space": "spaces",
    "available": "registry",
    "check_env": "check",
    "clip_rewards": "wrappers",
    "flatten_actions": "wrappers",
    "flatten_observations": "wrappers",
    "frame_stack": "wrappers",
    "from_brax": "adapters.brax",
    "from_gymnax": "adapters.gymnax",
    "level_seeds": "wrappers",
    "make": "registry",
    "register": "registry",
    "rescale_actions": "wrappers",
    "scale_rewards": "wrappers",
    "stabilise": "stable",
    "sticky_actions": "wrappers",
    "time_aware": "wrappers",
    "time_limit": "wrappers",
    "variants": "wrappers",
    "vary_params": "wrappers",
}

__all__ = [
    "Arms",
    "Box",
    "Builder",
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
    "level_seeds",
    "make",
    "register",
    "rescale_actions",
    "scale_rewards",
    "stabilise",
    "sticky_actions",
    "time_aware",
    "time_limit",
    "variants",
    "vary_params",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF})
