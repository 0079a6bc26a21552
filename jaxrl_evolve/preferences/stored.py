"""Summaries of trajectories in a file, such as those of a policy that others are to be compared with."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import os
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from jaxrl_evolve.files import Unreadable, parse_npz, read_regular, write_whole
from jaxrl_evolve.preferences.summary import Summary

_NAMES = tuple(field.name for field in dataclasses.fields(Summary))


def write_summaries(folder: str | os.PathLike[str], phi: Summary) -> Path:
    """Write summaries ``[N]`` to ``summaries-<checksum>.npz`` in a folder, and return the path: another content has another name.

    Raises:
        OSError: it cannot be written.
    """
    arrays = {name: np.asarray(getattr(phi, name), np.float32) for name in _NAMES}
    digest = hashlib.sha256(b"".join(np.ascontiguousarray(x).tobytes() for x in arrays.values())).hexdigest()
    packed = io.BytesIO()
    np.savez(packed, **arrays)  # pyright: ignore[reportArgumentType]
    path = Path(folder) / f"summaries-{digest[:12]}.npz"
    write_whole(path, packed.getvalue())
    return path


def read_summaries(path: str | os.PathLike[str]) -> Summary:
    """What `write_summaries` wrote.

    Raises:
        ValueError: there is no such file, or it is none of summaries.
    """
    try:
        arrays = parse_npz(read_regular(path))
    except OSError as error:
        raise ValueError(f"cannot read the summaries {os.fspath(path)}: {error.strerror}") from None
    except Unreadable as error:
        raise ValueError(f"the summaries {os.fspath(path)} cannot be read: {error}") from None
    if lacking := [name for name in _NAMES if name not in arrays]:
        raise ValueError(f"{os.fspath(path)} is no file of summaries: it has no {lacking[0]}")
    ranks = {name: 2 if name in ("criteria", "end") else 1 for name in _NAMES}
    number = len(arrays["total"]) if arrays["total"].ndim else 0
    for name, rank in ranks.items():
        if arrays[name].ndim != rank or len(arrays[name]) != number or number < 2:
            raise ValueError(
                f"{os.fspath(path)} is no file of summaries: {name} has shape {arrays[name].shape}, of {number} trajectories"
            )
    return Summary(*(jnp.asarray(arrays[name], jnp.float32) for name in _NAMES))
