"""Which parameters of an objective evolution may move, as named in `EvolutionConfig.only`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl_evolve.settings.names import suggestion


def movable(only: Sequence[str], like: Any, features: Sequence[str] = ()) -> Any:
    """Ones where parameters may move and zeros elsewhere, float32 in the shapes of ``like``; None if all may.

    Args:
        only: leaves by their names, joined by dots where they lie deeper, or rows (first axis) of one: ``LEAF.ROW``.
        like: parameters, or their shapes.
        features: names of the time features, in whose order the rows of a leaf lie that belongs to them.

    Raises:
        ValueError: there are no such parameters; with near matches.
    """
    if not only:
        return None
    leaves, tree = jax.tree_util.tree_flatten_with_path(like)
    named = {
        ".".join(str(getattr(part, "key", getattr(part, "name", part))) for part in path): leaf
        for path, leaf in leaves
    }
    masks = {name: np.zeros(leaf.shape, np.float32) for name, leaf in named.items()}
    for wanted in only:
        whole = [name for name in named if name == wanted or name.startswith(f"{wanted}.")]
        for name in whole:
            masks[name][...] = 1.0
        if not whole:
            name, row = _row(wanted, named, features)
            masks[name][row] = 1.0
    return jax.tree.unflatten(tree, [jnp.asarray(mask) for mask in masks.values()])


def _row(wanted: str, named: dict[str, Any], features: Sequence[str]) -> tuple[str, int]:
    """A leaf and the number of one of its rows."""
    name, _, row = wanted.rpartition(".")
    if name in named:
        rows = named[name].shape[0] if named[name].shape else 0
        own = list(features) if "time" in name and len(features) == rows else []
        if row in own:
            return name, own.index(row)
        if row.isdecimal() and int(row) < rows:
            return name, int(row)
        told = f"{name} has {rows} rows" + (f" ({', '.join(own)})" if own else "")
        raise ValueError(f"evolution.only has {wanted!r}, but {told}: give one of them, or {name!r}")
    raise ValueError(f"evolution.only has {wanted!r}, which is no parameter: {suggestion(wanted, named)}")
