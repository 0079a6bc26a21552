"""Calling what others wrote: what goes wrong there is said in one sentence that names it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Refused(ValueError):
    """Another's code fails, or gives what it must not; the message is one sentence."""


def called(
    what: str,
    function: Callable[..., Any],
    *arguments: Any,
    saying: tuple[type[Exception], ...] = (),
) -> Any:
    """What a function of another package gives.

    Args:
        what: the function in a message, such as ``environment 'mine/Line-v0': its factory``.
        function: to be called.
        arguments: its arguments.
        saying: errors that say by themselves what is wrong, and pass as they are.

    Raises:
        Refused: it failed; the cause is the error itself.
    """
    try:
        return function(*arguments)
    except saying:
        raise
    except (Exception, SystemExit) as error:  # whatever is wrong in another's code
        raise Refused(_failed(what, error)) from error


def _failed(what: str, error: BaseException) -> str:
    line = str(error).strip().partition("\n")[0]
    return f"{what} failed with {type(error).__name__}{': ' if line else ''}{line}"


def evaluated(what: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Shapes and dtypes of what a function of another package gives; nothing is compiled.

    Raises:
        Refused: it failed.
    """
    import jax  # here, so that names can be looked up without it

    return called(what, jax.eval_shape, function, *arguments, saying=(Refused,))


def told(thing: Any) -> str:
    """A thing by its type: ``float32[3]``, ``a dict``."""
    if hasattr(thing, "dtype") and hasattr(thing, "shape"):
        return f"{thing.dtype}{list(thing.shape)}"
    return f"a {type(thing).__name__}"
