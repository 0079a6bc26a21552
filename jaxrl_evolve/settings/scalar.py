"""The type of a hyperparameter."""

from __future__ import annotations

from typing import Annotated

import tyro
from jaxtyping import Array

Scalar = Annotated[
    float | Array,
    tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="FLOAT",
        instance_from_str=lambda words: float(words[0]),
        is_instance=lambda x: isinstance(x, (int, float)),
        str_from_instance=lambda x: [str(x)],
    ),
]
"""A number, or a traced float32 scalar in its place; a plain number on the command line."""
