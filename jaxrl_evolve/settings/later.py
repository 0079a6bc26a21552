"""What is imported when it is first used, so that settings, and tables that name functions, need not wait for jax."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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


def on_first_use(package: str, module_of: Mapping[str, str]) -> Callable[[str], Any]:
    """A package's ``__getattr__``, by which its names are imported when they are first asked for.

    Args:
        package: its ``__name__``.
        module_of: by name, the module below the package that the name is made in.
    """

    def find(name: str) -> Any:
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{module_of[name]}"), name)

    return find
