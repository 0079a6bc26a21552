"""Returns and advantages, each once, over time-major arrays ``[T, ...]``.

One rule for all of them. With ``ended = terminated | truncated``:

* ``discount = gamma * (1 - terminated)``: only a true end of the task takes value away;
* traces are cut where ``ended``: nothing flows back from the next episode;
* the value of a successor that is no more is selected away, not multiplied by zero: it may be no number at all (an
  environment that ends broken physics with a NaN observation), and ``0 * NaN`` is NaN;
* ``next_value[t]`` is the value of the true successor of step ``t``, never of an observation from
  after a reset. So a time limit, and the end of the array, bootstrap from the right state.

Every function takes arrays of one shape ``[T, ...]`` (trailing axes are batch axes), computes in
float32, and lets gradients through: stop them where the algorithm says so. ``gamma`` and ``lam`` are
Python numbers or traced float32 scalars, so they can be swept by vmap.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

Scalar = float | int | Float[Array, ""]
Series = Float[Array, "T ..."]
Flags = Bool[Array, "T ..."]


class VTrace(NamedTuple):
    """What `vtrace` returns.

    Attributes:
        targets: value targets ``v_s``, float32 ``[T, ...]``.
        advantages: policy-gradient advantages, float32 ``[T, ...]``.
    """

    targets: Series
    advantages: Series


def gae(
    reward: Series,
    value: Series,
    next_value: Series,
    terminated: Flags,
    ended: Flags,
    gamma: Scalar,
    lam: Scalar,
) -> tuple[Series, Series]:
    """Generalised advantage estimation (Schulman et al. 2016, arXiv 1506.02438, eq. 16).

    ``A_t = delta_t + gamma * lam * (1 - ended_t) * A_{t+1}`` with
    ``delta_t = r_t + discount_t * V(s'_t) - V(s_t)``.

    Args:
        reward: ``r_t``.
        value: ``V(s_t)``.
        next_value: ``V(s'_t)`` of the true successor.
        terminated: the task itself ended at ``t``.
        ended: the episode ended at ``t`` for either reason.
        gamma: discount factor.
        lam: trace decay; 0 gives one-step errors, 1 Monte Carlo returns minus the value.

    Returns:
        ``(advantages, targets)``, both float32 ``[T, ...]``; ``targets = advantages + value`` is the
        lambda-return.

    Raises:
        ValueError: if the arrays differ in shape.
    """
    reward, value, next_value, terminated, ended = _aligned(
        reward=reward, value=value, next_value=next_value, terminated=terminated, ended=ended
    )
    gamma, lam = _scalar(gamma), _scalar(lam)
    delta = reward + gamma * _beyond(terminated, next_value) - value
    decay = jnp.where(ended, jnp.float32(0), gamma * lam)
    advantages = _accumulate(delta, decay, jnp.zeros_like(delta[0]))
    return advantages, advantages + value


def lambda_returns(
    reward: Series,
    next_value: Series,
    terminated: Flags,
    ended: Flags,
    gamma: Scalar,
    lam: Scalar,
) -> Series:
    """Lambda-returns (Sutton and Barto 2018, eq. 12.20, as TD(lambda) targets).

    ``G_t = r_t + discount_t * ((1 - lam) * V(s'_t) + lam * G_{t+1})``, and
    ``G_t = r_t + discount_t * V(s'_t)`` where the episode or the array ends.

    Arguments and errors as in `gae`.

    Returns:
        float32 ``[T, ...]``. Equal to the targets of `gae` wherever ``next_value[t] == value[t + 1]``
        inside episodes.
    """
    reward, next_value, terminated, ended = _aligned(
        reward=reward, next_value=next_value, terminated=terminated, ended=ended
    )
    mix = jnp.where(ended, jnp.float32(0), _scalar(lam))
    discount, next_value = _discount(terminated, _scalar(gamma)), _beyond(terminated, next_value)
    return _accumulate(reward + discount * (1 - mix) * next_value, discount * mix, next_value[-1])


def n_step_returns(
    reward: Series,
    next_value: Series,
    terminated: Flags,
    ended: Flags,
    gamma: Scalar,
    n: int,
) -> Series:
    """n-step returns (Sutton and Barto 2018, eq. 7.1).

    ``G_t = r_t + gamma r_{t+1} + ... + gamma^{m-1} r_{t+m-1} + gamma^m V(s'_{t+m-1})``, where ``m`` is
    the largest count up to ``n`` that stays inside the episode and the array; the last term is absent
    where the task terminated.

    Args:
        reward: ``r_t``.
        next_value: ``V(s'_t)`` of the true successor.
        terminated: the task itself ended at ``t``.
        ended: the episode ended at ``t`` for either reason.
        gamma: discount factor.
        n: number of rewards, a static whole number of at least 1.

    Returns:
        float32 ``[T, ...]``.

    Raises:
        ValueError: if ``n`` is below 1 or the arrays differ in shape.
    """
    if not isinstance(n, int) or n < 1:
        raise ValueError(f"n is {n!r}; n-step returns need a whole number of at least 1")
    reward, next_value, terminated, ended = _aligned(
        reward=reward, next_value=next_value, terminated=terminated, ended=ended
    )
    discount, next_value = _discount(terminated, _scalar(gamma)), _beyond(terminated, next_value)

    def extend(_: Array, returns: Array) -> Array:
        following = jnp.concatenate([returns[1:], next_value[-1:]])
        return reward + discount * _beyond(terminated, jnp.where(ended, next_value, following))

    return jax.lax.fori_loop(1, min(n, reward.shape[0]), extend, reward + discount * next_value)


def vtrace(
    log_ratio: Series,
    reward: Series,
    value: Series,
    next_value: Series,
    terminated: Flags,
    ended: Flags,
    gamma: Scalar,
    lam: Scalar = 1.0,
    rho_bar: Scalar = 1.0,
    c_bar: Scalar = 1.0,
    pg_rho_bar: Scalar = 1.0,
) -> VTrace:
    """V-trace targets and policy-gradient advantages (Espeholt et al. 2018, arXiv 1802.01561, eq. 1).

    With ``ratio_t = pi(a_t|s_t) / mu(a_t|s_t)``, ``rho_t = min(rho_bar, ratio_t)`` and
    ``c_t = lam * min(c_bar, ratio_t)``:

    ``v_t = V(s_t) + delta_t + discount_t * c_t * (v_{t+1} - V(s_{t+1}))`` with
    ``delta_t = rho_t * (r_t + discount_t * V(s'_t) - V(s_t))``, and the advantage
    ``min(pg_rho_bar, ratio_t) * (r_t + discount_t * w_{t+1} - V(s_t))``, where
    ``w_{t+1} = lam * v_{t+1} + (1 - lam) * V(s'_t)`` inside an episode and ``V(s'_t)`` at its end or the
    array's. ``lam = 1`` is the paper; on-policy it then gives the targets of `lambda_returns`.

    Args:
        log_ratio: ``log pi(a_t|s_t) - log mu(a_t|s_t)``, learner against actor.
        reward: ``r_t``.
        value: ``V(s_t)``.
        next_value: ``V(s'_t)`` of the true successor.
        terminated: the task itself ended at ``t``.
        ended: the episode ended at ``t`` for either reason.
        gamma: discount factor.
        lam: extra decay of the traces.
        rho_bar: clip of the ratio in the temporal-difference error; decides the fixed point.
        c_bar: clip of the trace coefficients; decides the speed of contraction.
        pg_rho_bar: clip of the ratio in the policy gradient.

    Returns:
        A `VTrace`.

    Raises:
        ValueError: if the arrays differ in shape.
    """
    log_ratio, reward, value, next_value, terminated, ended = _aligned(
        log_ratio=log_ratio,
        reward=reward,
        value=value,
        next_value=next_value,
        terminated=terminated,
        ended=ended,
    )
    lam, discount = _scalar(lam), _discount(terminated, _scalar(gamma))
    next_value = _beyond(terminated, next_value)
    ratio = jnp.exp(log_ratio)
    delta = jnp.minimum(_scalar(rho_bar), ratio) * (reward + discount * next_value - value)
    trace = discount * lam * jnp.minimum(_scalar(c_bar), ratio)
    correction = _accumulate(delta, jnp.where(ended, jnp.float32(0), trace), jnp.zeros_like(delta[0]))
    targets = value + correction
    following = jnp.concatenate([targets[1:], next_value[-1:]])
    bootstrap = _beyond(terminated, jnp.where(ended, next_value, lam * following + (1 - lam) * next_value))
    advantages = jnp.minimum(_scalar(pg_rho_bar), ratio) * (reward + discount * bootstrap - value)
    return VTrace(targets, advantages)


def retrace(
    reward: Series,
    action_value: Series,
    next_value: Series,
    log_ratio: Series,
    terminated: Flags,
    ended: Flags,
    gamma: Scalar,
    lam: Scalar,
) -> Series:
    """Retrace targets of action values (Munos et al. 2016, arXiv 1606.02647, eq. 3 and 4).

    ``G_t = r_t + discount_t * (V(s'_t) + c_{t+1} (G_{t+1} - Q(s_{t+1}, a_{t+1})))`` with
    ``c = lam * min(1, ratio)``, and without its last term where the episode or the array ends.

    Args:
        reward: ``r_t``.
        action_value: ``Q(s_t, a_t)`` of the taken action.
        next_value: ``V(s'_t)`` of the true successor under the target policy.
        log_ratio: log-probability of the taken action under the target policy minus the acting one.
        terminated: the task itself ended at ``t``.
        ended: the episode ended at ``t`` for either reason.
        gamma: discount factor.
        lam: trace decay.

    Returns:
        Targets of ``Q(s_t, a_t)``, float32 ``[T, ...]``.

    Raises:
        ValueError: if the arrays differ in shape.
    """
    reward, action_value, next_value, log_ratio, terminated, ended = _aligned(
        reward=reward,
        action_value=action_value,
        next_value=next_value,
        log_ratio=log_ratio,
        terminated=terminated,
        ended=ended,
    )
    trace = _scalar(lam) * jnp.minimum(jnp.float32(1), jnp.exp(log_ratio))
    following = lambda x: jnp.concatenate([x[1:], jnp.zeros_like(x[:1])])
    trace, next_value = jnp.where(ended, jnp.float32(0), following(trace)), _beyond(terminated, next_value)
    discount = _discount(terminated, _scalar(gamma))
    constant = reward + discount * (next_value - trace * jnp.where(ended, 0.0, following(action_value)))
    return _accumulate(constant, discount * trace, jnp.zeros_like(reward[0]))


def _accumulate(x: Array, decay: Array, last: Array) -> Array:
    """``y_t = x_t + decay_t * y_{t+1}`` backwards in time, from ``y_T = last``; without a decay, whatever follows."""

    def step(following: Array, inputs: tuple[Array, Array]) -> tuple[Array, Array]:
        x_t, decay_t = inputs
        current = x_t + decay_t * jnp.where(decay_t != 0, following, jnp.float32(0))
        return current, current

    # Unrolling saves kernel launches on accelerators; on CPU it measured slower, in compiling too.
    unroll = 1 if jax.default_backend() == "cpu" else min(16, x.shape[0])
    return jax.lax.scan(step, last, (x, decay), reverse=True, unroll=unroll)[1]


def _beyond(terminated: Array, next_value: Array) -> Array:
    """Values of successors; zero where the task has none, whatever stands there."""
    return jnp.where(terminated, jnp.float32(0), next_value)


def _discount(terminated: Array, gamma: Array) -> Array:
    return jnp.where(terminated, jnp.float32(0), gamma)


def _scalar(x: Scalar) -> Array:
    return jnp.asarray(x, jnp.float32)


def _aligned(**arrays: Array) -> list[Array]:
    """The arrays as float32 (flags as bool), refused unless all have the shape of ``reward``."""
    shape = jnp.shape(arrays["reward"])
    if not shape or shape[0] == 0:
        raise ValueError(f"reward has shape {shape}; it needs a time axis of at least one step, [T, ...]")
    for name, array in arrays.items():
        if jnp.shape(array) != shape:
            raise ValueError(
                f"{name} has shape {jnp.shape(array)}, reward has {shape}; all must be the same [T, ...]"
            )
    flags = ("terminated", "ended")
    return [jnp.asarray(array, jnp.bool_ if name in flags else jnp.float32) for name, array in arrays.items()]
