"""First frames of several specs, as a reader of a report wants to see them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from jaxrl_envs.seeds import key_of
from jaxrl_envs.specs.caps import PRESETS
from jaxrl_envs.specs.encoding import params_of
from jaxrl_envs.specs.engine import engine
from jaxrl_envs.specs.grid import GRID
from jaxrl_envs.specs.picture import render


def start_frames(sources: Sequence[Any], seed: int = 0) -> list[np.ndarray]:
    """A start of each spec, drawn; one program for all of a size.

    Args:
        sources: specs, or what they are read from.
        seed: of the starts.

    Returns:
        uint8 ``[H, W, 3]`` of each.

    Raises:
        SpecError: one is no sound spec.
    """
    specs = [GRID.read(source) if isinstance(source, dict | str | bytes) else source for source in sources]
    sizes = dict.fromkeys(spec.size for spec in specs)
    resets = {size: jax.jit(engine(PRESETS[size], PRESETS[size].view).reset) for size in sizes}
    frames = []
    for spec in specs:
        params = params_of(spec)
        _, state = resets[spec.size](key_of(seed), params)
        frames.append(render(state, params))
    return frames
