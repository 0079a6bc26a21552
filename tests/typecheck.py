"""The type checker that jaxtyping's import hook applies to both packages while tests run."""

from collections.abc import Callable
from typing import Any, Self

from beartype import BeartypeConf, beartype

# As the static checker has it: an int will do where a float is asked for.
_checked = beartype(conf=BeartypeConf(is_pep484_tower=True))


def check(function: Callable[..., Any]) -> Callable[..., Any]:
    """Beartype, but for constructors and for what returns `Self`.

    jax rebuilds pytree dataclasses through their constructors with extra batch axes and with
    placeholder leaves, which no shape annotation can describe. `Self` means nothing to beartype outside a
    class that it decorates whole.
    """
    exempt = function.__name__ == "__init__" or function.__annotations__.get("return") in ("Self", Self)
    return function if exempt else _checked(function)
