"""A level generator trained by reinforcement learning as a proposer: PPO edits the terrain of grid specs, number by number.

After PCGRL (Khalifa et al. 2020, arXiv 2001.09212). What it is paid for is in `jaxrl_envs.specs.editing`: that success can come
about, and how near the way to it is to a wanted length. The wanted length is what the archive says can be learned from: that of
a parent which sometimes succeeds, longer where the parent is easy, shorter where it is too hard.
"""

from __future__ import annotations

import base64
import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import serialization
from jaxtyping import Array

from jaxrl_envs.contract import Env
from jaxrl_envs.seeds import key_of
from jaxrl_envs.specs.editing import Editing, editable, edited_data, editing_of, editor
from jaxrl_envs.specs.grid import GRID
from jaxrl_envs.vector import vectorize
from jaxrl_evolve.generation.archive import Archive, Entry
from jaxrl_evolve.generation.candidates import filled_up, look_at_all
from jaxrl_evolve.generation.canvas import Canvas
from jaxrl_evolve.generation.domain import Domain
from jaxrl_evolve.generation.editor_config import EditorConfig
from jaxrl_evolve.generation.feedback import Feedback
from jaxrl_evolve.generation.offline_config import OfflineConfig
from jaxrl_evolve.generation.proposal import Candidate, Proposed, Proposer
from jaxrl_evolve.learners.learner import Learner, traced
from jaxrl_evolve.learners.ppo import ppo
from jaxrl_evolve.learners.ppo_config import PPOConfig, PPOHyperparameters
from jaxrl_evolve.networks.config import NetworkConfig
from jaxrl_evolve.runs.chunk import make_chunk

NAME = "level generator"
_WAYS = (2.0, 24.0)  # lengths that it learns to make
_OVERSAMPLE = 3


class Generator:
    """The agent and its programs. What it has learned is its state.

    Attributes:
        state: of the learner.
        updates: made so far.
        steps: environment steps so far, in training and in proposing.
    """

    def __init__(self, canvas: Canvas, spec: Any, config: EditorConfig, seed: Array) -> None:
        """A new agent.

        Args:
            canvas: what can be edited.
            spec: a prepared one, whose size all others have.
            config: the numbers.
            seed: of its weights.
        """
        self.canvas, self.config = canvas, config
        self.env = editor(editing_of(spec, canvas.bounds, *_WAYS), spec.size, config.edits, config.starts)
        settings = PPOConfig(epochs=4, minibatches=2, network=NetworkConfig(hidden=(64, 64)))
        hp = PPOHyperparameters(learning_rate=config.learning_rate, learning_rate_end=1.0, gamma=0.95)
        self.learner = ppo(self.env, config.num_envs, config.edits, settings, hp)
        chunk = make_chunk(self.learner, vectorize(self.env, config.num_envs), config.edits)
        eta, horizon = self.learner.init_objective(seed), jnp.float32(max(config.first_updates, 1))
        self._init = jax.jit(lambda key, params: chunk.init(key, traced(hp), params))
        run = jax.jit(chunk.run)
        self._run = lambda state, params, n: run(state, traced(hp), eta, params, horizon, np.int32(n))
        self._play = jax.jit(jax.vmap(_player(self.env, self.learner, config.edits), (0, None, 0)))
        self.state: Any = jax.jit(lambda key: self.learner.init(key, traced(hp)))(seed)
        self.updates = self.steps = 0

    def learn(self, key: Array, spec: Any, updates: int) -> dict[str, Any]:
        """Train on editing one spec, for all wanted ways; the metrics of these updates."""
        params = editing_of(spec, self.canvas.bounds, *_WAYS)
        begun = replace(self._init(key, params), learner=self.state)
        after, metrics = self._run(begun, params, updates)
        self.state = after.learner
        self.updates += updates
        self.steps += updates * self.config.num_envs * self.config.edits * self.config.starts
        return metrics

    def edit(
        self, key: Array, specs: list[Any], wanted: list[float]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Edit each spec for a wanted way.

        Returns:
            The numbers of the best state of each episode, int32 ``[specs, 16]``; its loss, and that of the beginning, float32 ``[specs]``.
        """
        params = [
            editing_of(s, self.canvas.bounds, w, w, self.config.drawn)
            for s, w in zip(specs, wanted, strict=True)
        ]
        stacked: Editing = jax.tree.map(lambda *leaves: jnp.stack(leaves), *params)
        found = self._play(jax.random.split(key, len(specs)), self.learner.actor(self.state), stacked)
        self.steps += len(specs) * (self.config.edits + 1) * self.config.starts
        return tuple(np.asarray(x) for x in found)  # pyright: ignore[reportReturnType]

    def ways(self, specs: list[Any]) -> list[float]:
        """The mean way of each spec as it is."""
        reset = jax.jit(self.env.reset)
        self.steps += len(specs) * self.config.starts
        of = lambda spec: editing_of(spec, self.canvas.bounds, *_WAYS, drawn=0.0)
        return [float(reset(key_of(0), of(spec))[1].way) for spec in specs]


def _player(
    env: Env, learner: Learner, edits: int
) -> Callable[[Array, Any, Editing], tuple[Array, Array, Array]]:
    """``(key, actor, params) -> (numbers, loss, first loss)``: one episode, and the best that it passed."""

    def play(key: Array, actor: Any, params: Editing) -> tuple[Array, Array, Array]:
        key_reset, key_act = jax.random.split(key)
        obs, state = env.reset(key_reset, params)
        memory, first = learner.initial_memory(1), jnp.zeros((1,), bool)

        def once(carry: Any, key: Array) -> tuple[Any, None]:
            obs, state, memory, best, loss = carry
            action, memory, _ = learner.act(actor, obs[None], first, memory, key, "sample")
            after = env.step(key, state, action[0], params)
            better = after.state.loss < loss
            best = jnp.where(better, after.state.numbers, best)
            return (after.obs, after.state, memory, best, jnp.minimum(loss, after.state.loss)), None

        begun = (obs, state, memory, state.numbers, state.loss)
        (_, _, _, best, loss), _ = jax.lax.scan(once, begun, jax.random.split(key_act, edits))
        return best, loss, state.loss

    return play


def editor_proposer(
    domain: Domain,
    canvas: Canvas | None,
    config: EditorConfig,
    numbers: OfflineConfig,
    offline: Proposer,
    seed: int = 0,
) -> Proposer:
    """Specs from an agent that edits terrain; what is missing comes from the offline proposer.

    Its environment steps are in `Proposed.steps`: what a comparison at equal steps has to count.

    Args:
        domain: whose specs, in the language of grids.
        canvas: what of them can be edited.
        config: the numbers.
        numbers: when a spec is easy or hard.
        offline: who fills up.
        seed: of the agent's weights.

    Raises:
        ValueError: nothing in the domain's specs can be edited.
    """
    if canvas is None or domain.language.name != GRID.name:
        raise ValueError(
            f"proposer is 'editor', which edits terrain, and specs of {domain.language.name} have none that it knows; "
            "it must be another"
        )
    original = GRID.read(canvas.prepared(copy.deepcopy(dict(domain.original))))
    agent = Generator(canvas, original, config, key_of(seed))

    def propose(feedback: Feedback, archive: Archive, k: int, key: Array) -> Proposed:
        before = agent.steps
        found = _propose(domain, agent, numbers, archive, k, key)
        found = replace(found, steps=agent.steps - before)
        return filled_up(found, offline, feedback, archive, k, key)

    def state() -> dict[str, Any]:
        written = base64.b64encode(serialization.to_bytes(agent.state)).decode()
        return {"agent": written, "updates": agent.updates, "steps": agent.steps}

    def restore(there: Mapping[str, Any]) -> None:
        if there:
            agent.state = serialization.from_bytes(agent.state, base64.b64decode(there["agent"]))
            agent.updates, agent.steps = int(there["updates"]), int(there["steps"])

    cost = lambda: {"updates": agent.updates, "env_steps": agent.steps}
    return Proposer(NAME, propose, state, restore, cost=cost)


def _propose(
    domain: Domain, agent: Generator, numbers: OfflineConfig, archive: Archive, k: int, key: Array
) -> Proposed:
    key_learn, key_edit = jax.random.split(key)
    elites = (archive.elites() or [archive.original])[: _OVERSAMPLE * k]
    parents = [elites[i % len(elites)] for i in range(_OVERSAMPLE * k)]
    data = [agent.canvas.prepared(copy.deepcopy(dict(parent.data))) for parent in parents]
    specs = [GRID.read(each) for each in data]
    config = agent.config
    agent.learn(key_learn, specs[0], config.updates if agent.updates else config.first_updates)
    there = dict(zip((p.identity for p in elites), agent.ways(specs[: len(elites)]), strict=True))
    wanted = [_wanted(p, there[p.identity], config, numbers, archive.config.episodes) for p in parents]
    best, _, _ = agent.edit(key_edit, specs, wanted)
    candidates = []
    for parent, spec, row, length in zip(parents, specs, best, wanted, strict=True):
        made = edited_data(GRID.write(spec), editable(spec, agent.canvas.bounds), row)
        purpose = f"terrain with a way of about {length:.0f} steps to what its success needs"
        candidates.append(Candidate(made, NAME, "edit", (parent.identity,), parent.target, purpose))
    found = look_at_all(domain, archive, candidates, k)
    return replace(found, rejections=tuple(r for r in found.rejections if r.reason != "surplus"))


def _wanted(entry: Entry, length: float, config: EditorConfig, numbers: OfflineConfig, enough: int) -> float:
    """The way that is asked for: a parent's, longer where it is easy, shorter where it is hard, as far as the agent has learned to."""
    factor = 1.0
    if entry.belief.episodes >= enough:
        mean = entry.belief.mean
        factor = (
            config.longer if mean >= numbers.easy else 1.0 / config.longer if mean < numbers.hard else 1.0
        )
    return float(np.clip(length * factor, *_WAYS))
