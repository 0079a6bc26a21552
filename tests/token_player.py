"""Playing tasks of tokens: completions by the batch through an environment, and wrong ones made of right ones."""

from __future__ import annotations

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl_envs import make
from jaxrl_envs.token import EOS, find_task


class Played(NamedTuple):
    """Of each episode: prompts, what was shown and asked at each step, and what its last step told."""

    prompts: np.ndarray
    lengths: np.ndarray
    shown: np.ndarray
    rewards: np.ndarray
    last: dict
    ends: np.ndarray


PROMPTS = 192


@functools.cache
def programs(name):
    """An environment, and its start with the solution and its episode as programs for all batches of `PROMPTS`."""
    env, task = make(name), find_task(name)

    def start(key, params):
        state = env.reset(key, params)[1]
        return state, task.solution(state.secret)

    def episode(key, params, answer):
        obs, state = env.reset(key, params)
        steps = state.prompt.shape[0] + answer.shape[0]

        def one(carry, _):
            obs, state, done = carry
            answered = jnp.maximum(state.shown - state.length, 0)
            action = jnp.where(obs[1] == 1, answer[jnp.minimum(answered, answer.shape[0] - 1)], 5)
            out = env.step(key, state, action, params)
            told = (obs, out.reward, out.terminated & ~done, out.info, done)
            return (out.obs, out.state, done | out.terminated), told

        start = (obs, state, jnp.zeros((), bool))
        return state, jax.lax.scan(one, start, None, steps)[1]

    return env, task, jax.jit(jax.vmap(start)), jax.jit(jax.vmap(episode))


class Player:
    """An environment and its task, with prompts of all difficulties, the held-out one among them; knobs are one for each prompt."""

    def __init__(self, name, **knobs):
        self.env, self.task, start, self._play = programs(name)
        self.keys = jax.random.split(jax.random.key(0), PROMPTS)
        difficulty = self.task.difficulty
        values = np.asarray([*difficulty.arms, difficulty.held_out], np.int32)
        each = {difficulty.knob: values[np.arange(PROMPTS) % len(values)], **knobs}
        each = {knob: np.broadcast_to(value, (PROMPTS,)) for knob, value in each.items()}
        params = jax.tree.map(lambda x: np.broadcast_to(x, (PROMPTS, *x.shape)), self.env.params)
        self.params = params.replace(knobs=dataclasses.replace(params.knobs, **each))
        started, right = jax.device_get(start(self.keys, self.params))
        self.prompts = [self.names(t)[:n] for t, n in zip(started.prompt, started.length, strict=True)]
        self.secrets = started.secret
        self.right = [t[:n] for t, n in zip(right.tokens, right.length, strict=True)]

    def names(self, tokens):
        return [self.task.vocabulary.names[int(token)] for token in np.asarray(tokens)]

    def play(self, answers) -> Played:
        """One completion, tokens without the end, for each prompt; where it is as long as the limit there is no end."""
        limit = self.task.answer_limit
        padded = np.full((len(answers), limit), EOS, np.int32)
        for row, answer in zip(padded, answers, strict=True):
            row[: len(answer)] = answer[:limit]
        state, told = jax.device_get(self._play(self.keys, self.params, padded))
        obs, rewards, ends, info, done = told
        assert (ends.sum(1) == 1).all()
        at = ends.argmax(1)
        last = {name: x[np.arange(len(x)), at] for name, x in info.items()}
        return Played(state.prompt, state.length, obs, np.where(done, 0, rewards), last, at)

    def corrupted(self, seed=1):
        """For each prompt its right answer with a few changes, or random tokens, or too many."""
        rng, size, limit = np.random.default_rng(seed), self.task.vocabulary.size, self.task.answer_limit
        return [self._changed(rng, list(answer), size, limit) for answer in self.right]

    def _changed(self, rng, answer, size, limit):
        kind = rng.integers(8)
        if kind == 0:
            answer = list(rng.integers(2, size, rng.integers(0, limit + 1)))
        elif kind == 1:
            answer = answer + list(rng.integers(2, size, limit))
        for _ in range(rng.integers(0, 3)):
            at = int(rng.integers(0, len(answer) + 1))
            token = int(rng.choice([*answer, *rng.integers(2, size, 2)]))
            edit = rng.integers(4)
            if edit == 0:
                answer.insert(at, token)
            elif answer and edit == 1:
                answer.pop(min(at, len(answer) - 1))
            elif answer and edit == 2:
                answer[min(at, len(answer) - 1)] = token
            elif len(answer) > 1:
                i, j = rng.integers(0, len(answer), 2)
                answer[i], answer[j] = answer[j], answer[i]
        return [token if token != EOS else 2 for token in answer[:limit]]
