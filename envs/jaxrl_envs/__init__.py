"""JAX environments behind one contract: adapters, registry, reset policies and a contract check.

Importing this package imports no environment suite; `make` imports the one it is asked for.
"""

from jaxrl_envs.adapters.gymnax import from_gymnax
from jaxrl_envs.contract import Env, EnvStep
from jaxrl_envs.registry import available, make, register
from jaxrl_envs.spaces import Box, Discrete, Space

__all__ = ["Box", "Discrete", "Env", "EnvStep", "Space", "available", "from_gymnax", "make", "register"]
