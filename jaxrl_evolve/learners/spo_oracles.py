"""Several oracles in one run of SPO, each of which judges the episodes that a curriculum gave it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import jax.numpy as jnp
from jaxtyping import Array, Int

from jaxrl_envs.contract import Env
from jaxrl_envs.wrappers.variants import tells
from jaxrl_evolve.learners.spo_config import SPOConfig
from jaxrl_evolve.learners.spo_payoff import Compared
from jaxrl_evolve.preferences.named import oracles_from_names
from jaxrl_evolve.preferences.oracle import Oracle

ORACLE = "oracle"
"""What ``info`` calls the number of the oracle that judges an episode, int32."""


def chosen_oracles(
    config: SPOConfig, oracle: Oracle | Mapping[str, Oracle] | None, env: Env
) -> Oracle | Mapping[str, Oracle] | None:
    """One's own oracle or oracles, or those that settings name; None where that is `SPOConfig.preference`.

    Raises:
        ValueError: a name is none, some of one's own have none, or the environment does not tell which of them judges an episode.
    """
    if oracle is None and config.oracles:
        oracle = oracles_from_names(config.oracles)
    if isinstance(oracle, Mapping):
        if not oracle:
            raise ValueError("oracle is an empty mapping; it must have at least one oracle by its name")
        if not tells(env, ORACLE):
            raise ValueError(
                f"learner.oracles is {','.join(oracle)!r}, but {env.name} does not tell which of them judges an episode: put "
                f"jaxrl_envs.variants(env, names, {ORACLE!r}) around it"
            )
    return oracle


def told_of(oracles: Sequence[str]) -> tuple[str, ...]:
    """Names of the metrics of `by_oracle`."""
    return tuple(
        f"{what}_{name.replace(' ', '_')}" for what in ("payoff_spread", "compared") for name in oracles
    )


def by_oracle(found: Compared, judges: Int[Array, "T N"], oracles: Sequence[str]) -> dict[str, Array]:
    """Of each oracle, how many of its episodes were compared, and the root of their payoffs' mean square; float32 scalars.

    The spread is 0 where nobody was compared. Episodes all of whom an oracle tells apart have the spread of ranks, about 1 / sqrt(3);
    those that it tells apart at random about 1 / sqrt(n - 1) of ``n``, and those that tie 0.
    """
    of = [found.there & (judges == number) for number in range(len(oracles))]
    count = [one.sum(dtype=jnp.float32) for one in of]
    squares = [jnp.where(one, jnp.square(found.payoff), 0.0).sum() for one in of]
    spread = [jnp.sqrt(total / jnp.maximum(n, 1.0)) for total, n in zip(squares, count, strict=True)]
    return dict(zip(told_of(oracles), (*spread, *count), strict=True))
