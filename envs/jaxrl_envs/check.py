"""`check_env`: does an environment keep the contract? Run it on your own, in a test or as a command.

python -m jaxrl_envs.check CartPole-v1
python -m jaxrl_envs.check brax/hopper --option backend=spring --steps 16
"""

from __future__ import annotations

import argparse
import ast
import sys
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl_envs.abstract import Abstract, EnvError
from jaxrl_envs.contract import Env, EnvStep
from jaxrl_envs.endings import (
    Played,
    back_at_start,
    clock_falls_back,
    drawn_anew,
    find_limit,
    limit_as_termination,
    limit_moves,
)
from jaxrl_envs.seeds import key_of
from jaxrl_envs.spaces import Discrete, Space
from jaxrl_envs.trees import close, equal, stack

_BATCH = 2
_HELD = 16  # from this step on the action stays: many tasks end soon under one, and late under changing ones


def check_env(env: Env, key: jax.Array | None = None, steps: int = 32, eager: bool = True) -> None:
    """Raise on the first rule of the environment contract that `env` breaks.

    Checked are: signatures; structure, shape, dtype and weak type of everything that reset and step
    return; that the state fits a `jax.lax.scan` carry, inputs are not written to and step is traced
    once; observations inside their space, finite rewards; the same results from the same key, with and
    without jit, vmapped (also over parameters) and looped; and that no step resets the environment. If
    the parameters have a time limit (a field called ``max_steps_in_episode``, ``episode_length``,
    ``max_timesteps``, ``max_steps`` or ``time_limit``), that it shows as `truncated`, stays
    so, and never as `terminated`.

    Args:
        env: the environment.
        key: typed PRNG key for resets, actions and steps; ``jax.random.key(0)`` if None.
        steps: random steps to take, at least 4; episodes that end are started anew.
        eager: also compare with unjitted calls (slow for large environments).

    Raises:
        EnvError: on the first broken rule.

    Warns:
        UserWarning: if two different keys give the same reset and steps.
    """
    if not isinstance(env, Env):
        raise EnvError(f"check_env takes a jaxrl_envs.Env, not a {type(env).__name__}")
    if steps < 4:
        raise ValueError(f"steps is {steps}; it must be at least 4")
    key = key_of(0) if key is None else key
    check = _Check(env, key)
    check.types()
    check.purity_and_scan()
    check.random_steps(steps, eager)
    check.batches()
    check.time_limit()


def check_types(env: Env) -> None:
    """The part of `check_env` that needs no numbers: spaces, and the structure, shapes and dtypes of everything that the
    environment's functions return. Nothing is compiled; training does this first.

    Raises:
        EnvError: on the first broken rule.
    """
    Abstract(env, jax.random.key(0)).types()


class _Check(Abstract):
    """The rules that need numbers as well; holds the compiled reset and step they share."""

    def __init__(self, env: Env, key: jax.Array) -> None:
        super().__init__(env, key)
        self.params, self.traces = env.params, 0
        self.reset = jax.jit(env.reset)

        def counted(key: jax.Array, state: Any, action: Any, params: Any) -> EnvStep:
            self.traces += 1
            return env.step(key, state, action, params)

        self.step = jax.jit(counted)

    def purity_and_scan(self) -> None:
        """Step leaves its inputs as they are and works as the body of a scan (traced, not compiled)."""
        env = self.env

        def once(state: Any, key: jax.Array) -> tuple[Any, None]:
            inputs = (state, env.params)
            before, tree = jax.tree.flatten(inputs)
            out = env.step(key, state, env.action_space.sample(key), env.params)
            after, tree_after = jax.tree.flatten(inputs)
            if tree != tree_after or any(a is not b for a, b in zip(before, after, strict=True)):
                raise self.fail("step writes into the state or parameters it is given; build new ones")
            return out.state, None

        def scanned(key: jax.Array) -> Any:
            return jax.lax.scan(once, env.reset(key, env.params)[1], jax.random.split(key, 3))

        self.run("a scan over step", jax.eval_shape, scanned, self.key)

    def random_steps(self, steps: int, eager: bool) -> None:
        """Values along random play: ranges, determinism, no reset inside step, one trace."""
        first = self.play(self.key, steps)
        results = lambda played: [(p.state, p.out) for p in played]
        if not equal(results(first), results(self.play(self.key, min(steps, 8)))):
            raise self.fail("the same key gives different results; draw all randomness from the key")
        other = self.play(jax.random.fold_in(self.key, 1), steps, actions=self.key)
        if equal(results(first), results(other)):
            warnings.warn(
                f"{self.env.name}: two different keys give the same episode; is it meant to be deterministic?",
                stacklevel=3,
            )
        if self.traces > 1:
            raise self.fail(
                f"step was traced {self.traces} times; types or Python values change between calls"
            )
        self.endings(first)
        if eager:
            obs, state = self.run("reset without jit", self.env.reset, self.key, self.params)
            if not close((obs, state), self.reset(self.key, self.params)):
                raise self.fail("reset gives other results without jit")
            arguments = (self.key, state, self.env.action_space.sample(self.key), self.params)
            if not close(self.run("step without jit", self.env.step, *arguments), self.step(*arguments)):
                raise self.fail("step gives other results without jit")

    def play(self, key: jax.Array, steps: int, actions: jax.Array | None = None) -> list[Played]:
        """Random steps, validated; a new episode after each end."""
        env, played = self.env, []
        actions = key if actions is None else actions
        obs, state = self.run("reset", self.reset, key, self.params)
        self.inside("reset", obs)
        start = obs
        for t in range(steps):
            key_step = jax.random.fold_in(key, t)
            action = env.action_space.sample(jax.random.fold_in(actions, min(t, _HELD)))
            out = self.run("step", self.step, key_step, state, action, self.params)
            self.inside(f"step {t}", out.obs)
            if not np.isfinite(out.reward):
                raise self.fail(f"the reward of step {t} is {float(out.reward)}")
            played.append(Played(start, obs, state, key_step, action, out))
            obs, state = out.obs, out.state
            if out.terminated or out.truncated:
                obs, state = self.reset(key_step, self.params)
                start = obs
        return played

    def inside(self, where: str, obs: Any) -> None:
        space, x = self.env.observation_space, np.asarray(obs)
        if not np.isfinite(x).all():
            raise self.fail(f"the observation from {where} is not finite")
        if not _inside(space, x):
            raise self.fail(
                f"the observation from {where} leaves its space {_short(space)}: it spans {x.min()} to {x.max()}"
            )

    def endings(self, played: list[Played]) -> None:
        """No step resets the environment, and no time limit is told as a termination, as far as steps show it."""
        resets = [self.reset(jax.random.fold_in(self.key, i), self.params)[1] for i in range(2)]
        again = lambda p: self.step(jax.random.fold_in(p.key, 1), p.state, p.action, self.params)
        message = (
            limit_as_termination(played)
            or clock_falls_back(played, resets[0])
            or back_at_start(played)
            or drawn_anew(played, again, (resets[0], resets[1]))
        )
        if message:
            raise self.fail(message)

    def batches(self) -> None:
        """One vmap over keys, states, actions and parameters gives what a loop gives."""
        keys = jax.random.split(self.key, _BATCH)
        many = jax.tree.map(lambda x: jnp.stack([x] * _BATCH), self.params)
        loop = [self.reset(k, self.params) for k in keys]
        if not close(stack(loop), self.run("vmap of reset", jax.jit(jax.vmap(self.env.reset)), keys, many)):
            raise self.fail("reset gives other results under vmap")
        actions = jax.vmap(self.env.action_space.sample)(keys)
        states = [state for _, state in loop]
        one = [self.step(k, s, a, self.params) for k, s, a in zip(keys, states, actions, strict=True)]
        step = jax.jit(jax.vmap(self.env.step))
        batch = self.run("vmap of step", step, keys, stack(states), actions, many)
        if not close(stack(one), batch):
            raise self.fail("step gives other results under vmap")

    def time_limit(self) -> None:
        """A reached limit is truncation, lasts, and leaves `terminated` and the successor alone."""
        found = find_limit(self.params)
        if found is None:
            return
        limit, value, put = found
        short = put(jnp.asarray(3, value.dtype))
        start = before = free_before = self.reset(self.key, self.params)
        resets = (start, self.reset(jax.random.fold_in(self.key, 1), self.params))
        cut = False
        for t in range(4):
            key = jax.random.fold_in(self.key, t)
            action = self.env.action_space.sample(key)
            out = self.step(key, before[1], action, short)
            unlimited = self.step(key, free_before[1], action, self.params)
            if bool(out.terminated) != bool(unlimited.terminated):
                raise self.fail(f"reaching {limit} changes terminated; the limit belongs in truncated alone")
            if cut and not out.truncated:
                raise self.fail(
                    f"truncated is unset again one step after {limit} was reached: step resets the environment, "
                    "or it compares the time with == instead of >="
                )
            after, free = (out.obs, out.state), (unlimited.obs, unlimited.state)
            if out.truncated and not cut and limit_moves(after, free, (before, free_before), resets):
                raise self.fail(
                    f"reaching {limit} changes the successor: step resets the environment; return the last state"
                )
            cut = cut or bool(out.truncated)
            if out.terminated:
                return
            before, free_before = after, free
        if not cut:
            raise self.fail(f"{limit} = 3 was passed and truncated is still unset")


def _short(space: Space) -> str:
    if isinstance(space, Discrete):
        return f"Discrete({space.n})"
    return f"Box from {space.bound('low').min()} to {space.bound('high').max()}"


def _inside(space: Space, x: np.ndarray) -> bool:
    if isinstance(space, Discrete):
        return space.contains(x)
    low, high = space.bound("low"), space.bound("high")
    room = 1e-5 * np.maximum(1.0, np.abs(x))  # float32 rounding at the edge is no offence
    return bool(((x >= low - room) & (x <= high + room)).all())


def main(arguments: list[str] | None = None) -> int:
    """The command; returns 0 (kept), 1 (broken) or 2 (no such environment or option)."""
    from jaxrl_envs.registry import make

    parser = argparse.ArgumentParser(
        "python -m jaxrl_envs.check", description="Check an environment's contract."
    )
    parser.add_argument("name", help="a registered name, e.g. CartPole-v1")
    parser.add_argument("--steps", type=int, default=32, help="random steps to take (default 32)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--option", action="append", default=[], metavar="KEY=VALUE", help="passed to make")
    parser.add_argument("--no-eager", action="store_true", help="skip the comparison with unjitted calls")
    given = parser.parse_args(arguments)
    try:
        env = make(given.name, **dict(_option(o) for o in given.option))
        check_env(env, key_of(given.seed), given.steps, not given.no_eager)
    except EnvError as error:
        print(error, file=sys.stderr)
        return 1
    except (ValueError, ImportError) as error:
        print(error, file=sys.stderr)
        return 2
    print(
        f"{env.name} keeps the contract: {_short(env.observation_space)} in, {_short(env.action_space)} out"
    )
    return 0


def _option(text: str) -> tuple[str, Any]:
    name, separator, value = text.partition("=")
    if not separator:
        raise ValueError(f"--option {text!r} is not KEY=VALUE")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


if __name__ == "__main__":
    sys.exit(main())
