"""Random changes of images that leave their meaning (Yarats et al. 2021; Schwarzer et al. 2021)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxrl_envs.fusion import computed_once
from jaxrl_envs.spaces import Box, Space


def random_shift(key: Array, images: Array, pad: int) -> Array:
    """Each image of ``[B, H, W, C]`` moved by up to ``pad`` pixels either way, edges repeated; one move for all its channels."""
    if pad == 0:
        return images
    height, width = images.shape[1:3]
    padded = jnp.pad(images, ((0, 0), (pad, pad), (pad, pad), (0, 0)), mode="edge")
    # Both ends of the range occur. Drawn once, not for every pixel.
    corner = computed_once(jax.random.randint(key, (images.shape[0], 2), 0, 2 * pad + 1))
    cut = lambda image, at: jax.lax.dynamic_slice(image, (at[0], at[1], 0), (height, width, image.shape[-1]))
    return jax.vmap(cut)(padded, corner)


def random_intensity(key: Array, images: Float[Array, "B ..."], scale: float) -> Float[Array, "B ..."]:
    """Each image times ``1 + scale * clip(normal, -2, 2)``, one factor for all its pixels."""
    if scale == 0:
        return images
    noise = jnp.clip(jax.random.normal(key, (images.shape[0],)), -2.0, 2.0)
    return images * (1.0 + scale * noise).reshape((-1, *[1] * (images.ndim - 1)))


def check_intensity(intensity: float, space: Space, name: str) -> None:
    """Refuse brightness of images of two values, whose pixels say what is there and not how bright it is.

    Args:
        intensity: scale of the change.
        space: of the images.
        name: of the environment; MinAtar's boards are told by it, since they come as any number between 0 and 1.

    Raises:
        ValueError: with the only scale that is left.
    """
    whole = space.dtype == bool or np.issubdtype(space.dtype, np.integer)
    two = isinstance(space, Box) and whole and bool((space.bound("high") - space.bound("low") <= 1).all())
    if intensity and (two or name.endswith("-MinAtar")):
        raise ValueError(
            f"intensity is {intensity}, but every pixel of {name} is 0 or 1, of which none is brighter than another; it must be 0"
        )


def check_shift(shift: int, shape: tuple[int, ...]) -> None:
    """Refuse moves that leave nothing of an image ``[H, W, C]`` but its edge.

    Raises:
        ValueError: with the size that it must be below.
    """
    if shift and len(shape) == 3 and shift >= min(shape[:2]):
        raise ValueError(
            f"shift is {shift}, but images are {shape[0]}x{shape[1]}; it must be less than {min(shape[:2])}"
        )
