"""The type checker that jaxtyping's import hook applies to both packages while tests run."""

from collections.abc import Callable
from typing import Any

from beartype import beartype


def check(function: Callable[..., Any]) -> Callable[..., Any]:
    """Beartype, but for constructors.

    jax rebuilds pytree dataclasses through their constructors with extra batch axes and with
    placeholder leaves, which no shape annotation can describe.
    """
    return function if function.__name__ == "__init__" else beartype(function)
