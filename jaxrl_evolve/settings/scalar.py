"""The type of a hyperparameter, and dataclasses of them."""

from __future__ import annotations

import dataclasses
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flax.struct import dataclass as hyperparameters
    from jaxtyping import Array

    Scalar = float | Array
else:
    Scalar = float
    """A number, or a traced float32 scalar in its place, which checks let pass; a plain number on the command line."""

    def hyperparameters(cls: type) -> Any:
        """`flax.struct.dataclass`: a frozen dataclass that is a pytree, with a method ``replace``.

        A process that only describes settings gets a plain dataclass.
        """
        if _describing and "jax" not in sys.modules:
            return dataclasses.dataclass(frozen=True)(cls)
        from flax import struct

        return struct.dataclass(cls)


_describing = False


def describe_only() -> None:
    """This process will say what settings there are, and end: it need not wait a second or two for jax."""
    global _describing
    _describing = True
