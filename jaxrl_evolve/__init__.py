"""Reinforcement learning in JAX: agents, objectives, curricula and tasks over one trajectory type.

Public names are imported on first use, so that `import jaxrl_evolve` is quick and imports no
environment suite.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from jaxrl_evolve._cpu import use_safe_scheduler

if TYPE_CHECKING:
    from jaxrl_evolve.clock import Clock, linear_schedule
    from jaxrl_evolve.trajectory import PolicyOutput, Trajectory

__version__ = "0.1.0"

__all__ = [
    "Clock",
    "PolicyOutput",
    "Trajectory",
    "__version__",
    "linear_schedule",
]

_MODULE_OF = {
    "Clock": "clock",
    "PolicyOutput": "trajectory",
    "Trajectory": "trajectory",
    "linear_schedule": "clock",
}

use_safe_scheduler()


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF})
