"""Evolution strategies over windows of a life, without an agent: which noise acts, and what it answers for.

A long life is cut into windows, and the mean of the population moves after each. Let ``f_w`` be what window
``w`` earns and ``e_i`` the noise of window ``i``, of deviation ``sigma_i``. What happens in a window follows
from the noise of all windows up to it, so (Vicol et al. 2021, arXiv 2112.13835)

    ``mean over pairs of (f_w(+) - f_w(-)) / 2 * sum over i <= w of e_i / sigma_i``

summed over a life estimates, without bias, the gradient of the life's whole earnings with respect to a mean
that is held still. With one draw for the whole life (NRES; Li et al. 2023, arXiv 2304.12180) the sum has one
term, and the variance does not grow with the number of windows. With the term of the own window alone
(truncated ES) the effects of earlier windows on later ones are missing.

The sum is not stored. A window's noise is grown from the life's key and the window's number, and adding it up
again costs a draw per past window, little beside an agent's updates; stored, the sums of a population would
be its largest arrays, in memory and in each checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxrl_evolve.meta.evolution import member, noise

Sigma = Callable[[Array], Array]
"""``windows ago -> standard deviation of the noise`` that was new then."""


def _terms(kind: str, window: Array) -> tuple[Array, Array]:
    """First and last draw that answer for a window; the last is the one that acts in it."""
    none = jnp.zeros_like(window)
    return (window if kind == "truncated" else none), (none if kind == "reuse" else window)


def window_member(
    kind: str,
    mean: Any,
    key: Array,
    window: Int[Array, ""],
    sigma: Sigma,
    sign: Array | float,
    mask: Any = None,
) -> Any:
    """Parameters under which one member of a pair lives through a window.

    Args:
        kind: "persistent", "reuse" or "truncated".
        mean: of the population.
        key: of the life's noise.
        window: number of the window in its life, from 0.
        sigma: the noise's deviations.
        sign: 1 or -1.
        mask: which parameters have noise, see `meta.movable`.
    """
    last = _terms(kind, window)[1]
    return member(mean, jax.random.fold_in(key, last), sigma(window - last), sign, mask)


def window_ascent(
    kind: str,
    weights: Float[Array, " pairs"],
    keys: Array,
    windows: Int[Array, " pairs"],
    sigma: Sigma,
    like: Any,
    mask: Any = None,
) -> Any:
    """Sum over pairs of the estimated gradient, each pair at its own window.

    Args:
        kind: "persistent", "reuse" or "truncated".
        weights: what each pair's noise counts for; without bias if ``f(+) - f(-)``.
        keys: of the lives' noise, ``[pairs]``.
        windows: numbers of the windows in their lives.
        sigma: the noise's deviations.
        like: the parameters.
        mask: which of them have noise, see `meta.movable`.
    """

    def add(total: Any, pair: tuple[Array, Array, Array]) -> tuple[Any, None]:
        key, window, weight = pair
        first, last = _terms(kind, window)

        def term(i: Array, total: Any) -> Any:
            factor = 0.5 * weight / sigma(window - i)
            own = noise(jax.random.fold_in(key, i), like, mask)
            return jax.tree.map(lambda t, e: t + factor * e, total, own)

        return jax.lax.fori_loop(first, last + 1, term, total), None

    start = jax.tree.map(lambda x: jnp.zeros(x.shape, jnp.float32), like)
    return jax.lax.scan(add, start, (keys, windows, weights))[0]
