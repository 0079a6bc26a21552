"""The weights published with Oh et al. (2025), from a file that the user provides.

They are an ``.npz`` archive of haiku's parameters, ``MODULE/w`` and ``MODULE/b``. Nothing of it comes with this
library; `convert` makes a stored objective of it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxrl_evolve.files import Unreadable, one_line, parse_npz, read_regular
from jaxrl_evolve.objectives.disco.config import DiscoConfig
from jaxrl_evolve.objectives.disco.rule import disco, disco_with_time
from jaxrl_evolve.objectives.time_config import NO_TIME, TimeFeatures
from jaxrl_evolve.settings.names import suggestion

_LIFE = "lstm/~/meta_lstm/~unroll/"
_MODULES = {
    "core": "lstm/lstm/linear",
    "gate": "lstm/linear",
    "note": "lstm/linear_1",
    "y": "lstm/linear_2",
    "z": "lstm/linear_3",
    "action.layer_0": "lstm/sequential_1/conv1_d",
    "policy": "lstm/linear_4",
    "life_input": f"{_LIFE}mlp_2/~/linear_0",
    "life_core": f"{_LIFE}lstm/linear",
    **{
        f"{ours}.{layer}": f"{theirs}{module}"
        for ours, theirs in (("reader", "lstm/"), ("life_reader", _LIFE))
        for layer, module in (
            ("y.hidden", "mlp/~/linear_0"),
            ("y.out", "mlp/~/linear_1"),
            ("z.hidden", "mlp_1/~/linear_0"),
            ("z.out", "mlp_1/~/linear_1"),
            ("action.layer_0", "sequential/conv1_d"),
            ("action.layer_1", "sequential/conv1_d_1"),
        )
    },
}
"""Modules of the published file by the names of ours."""
ARRAYS = {
    f"{ours}.{kind}": f"{theirs}/{letter}"
    for ours, theirs in _MODULES.items()
    for kind, letter in (("kernel", "w"), ("bias", "b"))
}
"""Arrays of the published file by the names of our parameters."""


def _refuse(sentence: str) -> ValueError:
    return ValueError(f"not the weights of a Disco rule of these sizes: {sentence}")


def _arrays(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    try:
        return parse_npz(read_regular(path))
    except FileNotFoundError:
        raise ValueError(f"there is no file {path}") from None
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from None
    except Unreadable as error:
        raise ValueError(f"{path} cannot be read as an .npz archive of arrays: {one_line(error)}") from None


def load_disco_weights(
    path: str | os.PathLike[str], config: DiscoConfig | None = None
) -> dict[str, np.ndarray]:
    """The parameters of a time-blind rule from a file with the published layout.

    Args:
        path: the file, e.g. ``disco_103.npz`` of the authors' repository.
        config: sizes; those published by default.

    Returns:
        ``eta`` of ``disco(config)``, float32.

    Raises:
        ValueError: there is no such file, or its arrays are others than a rule of these sizes has; the
            message names the first that differs.
    """
    config = DiscoConfig.published() if config is None else config
    wanted = jax.eval_shape(disco(config).init, jax.random.key(0))
    there = _arrays(path)
    for name in there:
        if name not in ARRAYS.values():
            raise _refuse(f"array {name!r} is not one of them: {suggestion(name, list(ARRAYS.values()))}")
    return {name: _fitted(there, ARRAYS[name], like) for name, like in wanted.items()}


def _fitted(there: Mapping[str, np.ndarray], name: str, like: Any) -> np.ndarray:
    # A convolution over actions of length one is a dense layer.
    shape = (1, *like.shape) if "conv1_d" in name and name.endswith("/w") else like.shape
    if name not in there:
        raise _refuse(f"array {name!r}, of shape {shape}, is missing")
    array = there[name]
    if array.shape != shape:
        raise _refuse(f"array {name!r} has shape {array.shape}, expected {shape}")
    if array.dtype != np.float32:
        raise _refuse(f"array {name!r} has dtype {array.dtype}, expected float32")
    if not np.isfinite(array).all():
        raise _refuse(f"array {name!r} has values that are not finite")
    return array.reshape(like.shape)


def convert(
    source: str | os.PathLike[str], out: str | os.PathLike[str], time: TimeFeatures = NO_TIME
) -> None:
    """Write the published weights as a stored objective, which ``--objective`` takes.

    Args:
        source: the published file.
        out: where to write.
        time: what a clock-conditioned rule reads of the clock, through a kernel of zeros: it starts as the
            published rule does. Nothing is that rule itself.

    Raises:
        ValueError: as in `load_disco_weights`, or ``out`` cannot be written.
    """
    from jaxrl_evolve.objectives.stored import (
        StoredObjective,
        save,
    )  # which knows the rule as one of its kinds

    eta: dict[str, Any] = load_disco_weights(source)
    if time.size:
        eta = disco_with_time(eta, time)
    command = f"python -m jaxrl_evolve.objectives.disco {Path(source).name} {Path(out).name}"
    settings = DiscoConfig.published(time=time)
    save(out, StoredObjective("disco", settings, eta, horizons=time.horizons, command=command))
