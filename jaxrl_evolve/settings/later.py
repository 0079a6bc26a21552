"""Functions that are imported when they are first called, so that tables that name them need not wait for jax."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any


def later(module: str, name: str) -> Callable[..., Any]:
    """A function of the library that is imported when it is first called: settings are described without it.

    Args:
        module: below `jaxrl_evolve`, such as ``"learners.ppo"``.
        name: of the function.
    """

    def function(*arguments: Any, **named: Any) -> Any:
        return getattr(import_module(f"jaxrl_evolve.{module}"), name)(*arguments, **named)

    return function
