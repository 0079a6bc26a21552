"""The level generator: ways are shortest ways, it learns to make them as long as is asked for, and what it takes is counted."""

from __future__ import annotations

import collections
import copy
import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

pytest.importorskip("pydantic")

from jaxrl_envs.specs.caps import PRESETS
from jaxrl_envs.specs.editing import MOST, editable, edited_data, editing_of, way, with_numbers
from jaxrl_envs.specs.encoding import params_of
from jaxrl_envs.specs.engine import engine
from jaxrl_envs.specs.feasibility import needed, passable
from jaxrl_envs.specs.grid import GRID
from jaxrl_evolve import random
from jaxrl_evolve.generation import editor as editing
from jaxrl_evolve.generation.belief import Belief
from jaxrl_evolve.generation.config import GenerateConfig
from jaxrl_evolve.generation.editor_config import EditorConfig
from jaxrl_evolve.generation.feedback import Feedback
from jaxrl_evolve.generation.lifecycle import new_archive
from jaxrl_evolve.generation.offline import offline_proposer
from jaxrl_evolve.generation.offline_config import OfflineConfig
from jaxrl_evolve.generation.tech_tree import tech_tree
from jaxrl_evolve.generation.train import generate
from jaxrl_evolve.training.host import Host
from jaxrl_evolve.training.interrupts import Interrupted

SETTING = tech_tree()
CONFIG = EditorConfig(first_updates=2, updates=1, num_envs=16, edits=8, starts=1, learning_rate=5e-3)
SPEC = GRID.read(SETTING.canvas.prepared(copy.deepcopy(dict(SETTING.domain.original))))


def walked(grid, row, column, spec):
    """Breadth first, in Python: whether all that is needed can be reached for, and the steps there, added up."""
    types = ["void", "floor", *(t.name for t in spec.types)]
    open_names, wanted = passable(spec), needed(spec)
    steps, seen, waiting = {}, {(row, column): 0}, collections.deque([(row, column)])
    while waiting:
        at = waiting.popleft()
        for to in ((at[0] + d, at[1] + e) for d, e in ((0, 0), (0, 1), (1, 0), (0, -1), (-1, 0))):
            if min(to) >= 0 and max(to) < grid.shape[0]:
                name = types[grid[to]]
                steps[name] = min(steps.get(name, 99), seen[at])  # beside it, or on it
                if name in open_names and to not in seen:
                    seen[to] = seen[at] + 1
                    waiting.append(to)
    return wanted <= steps.keys(), sum(steps.get(name, 0) for name in wanted)


def test_ways_are_those_of_a_breadth_first_search():
    params = editing_of(SPEC, SETTING.canvas.bounds, 2.0, 9.0)
    chest = [SPEC.terrain[i].type == "chest" for i, _ in editable(SPEC, SETTING.canvas.bounds)]
    without = params.numbers.at[np.flatnonzero(chest)].set(0)  # below its bounds: it is never within reach
    reset = engine(PRESETS["small"], 7).reset

    @jax.jit
    def look(key, numbers):
        grid = with_numbers(numbers, params)
        state = reset(key, grid)[1]
        return state, way(state, grid, params.wanted)

    found = []
    for i in range(12):
        state, (sound, length) = look(jax.random.key(i), without if i % 4 == 0 else params.numbers)
        expected = walked(np.asarray(state.grid), int(state.row), int(state.column), SPEC)
        assert (bool(sound), int(length)) == expected
        found.append(expected)
    assert {sound for sound, _ in found} == {True, False} and len({length for _, length in found}) > 3


def test_data_and_arrays_are_edited_alike():
    bounds = SETTING.canvas.bounds
    params, places = editing_of(SPEC, bounds, 2.0, 9.0), editable(SPEC, bounds)
    assert len(places) == 14 <= MOST and int((params.row >= 0).sum()) == 14
    numbers = np.asarray(params.low)
    data = edited_data(GRID.write(SPEC), places, numbers)
    other = params_of(GRID.read(data)).terrain
    ours = with_numbers(jnp.asarray(numbers), params).terrain
    kept = np.asarray(other.op) >= 0  # what is strewn none of is left out by the canonical form
    strewn = [row for row in range(len(ours.op)) if ours.op[row] >= 0 and (ours.low[row] > 0).any()]
    np.testing.assert_array_equal(np.asarray(ours.low)[strewn][-kept.sum() :], np.asarray(other.low)[kept])
    with pytest.raises(ValueError, match="at least one"):
        editing_of(SPEC, {}, 2.0, 9.0)
    with pytest.raises(ValueError, match="proposer is 'editor'"):
        editing.editor_proposer(
            SETTING.domain, None, CONFIG, OfflineConfig(), offline_proposer(SETTING.domain)
        )


@pytest.mark.slow
def test_it_learns():
    agent = editing.Generator(SETTING.canvas, SPEC, CONFIG, random.key(3))
    paid = [float(agent.learn(random.key(i), SPEC, 40)["episode_return"]) for i in range(4)]
    assert agent.updates == 160 and agent.steps == 160 * 16 * 8
    # What an episode takes away of the loss: nothing at first.
    assert abs(paid[0]) < 0.2 and paid[3] > paid[0] + 0.3, paid


@pytest.mark.slow
def test_it_proposes_and_is_counted():
    offline = offline_proposer(SETTING.domain)
    new = lambda: editing.editor_proposer(SETTING.domain, SETTING.canvas, CONFIG, OfflineConfig(), offline, 3)
    proposer, archive = new(), new_archive(SETTING.domain)
    found = proposer.propose(Feedback(), archive, 4, random.key(1))
    assert found.steps == 16 * 8 * 2 + 1 + 12 * 9
    assert len(found.proposals) == 4 and {p.author for p in found.proposals} == {editing.NAME}
    assert all(p.parents == (archive.original.identity,) for p in found.proposals)
    # A resumed loop proposes what an unbroken one does, and learns less the second time.
    state = json.loads(json.dumps(proposer.state()))
    again = new()
    again.restore(state)
    one, other = (p.propose(Feedback(), archive, 4, random.key(2)) for p in (proposer, again))
    assert one == other and one.steps == 16 * 8 * 1 + 1 + 12 * 9


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_killed_loop_with_it_comes_to_the_same_archive(tmp_path, monkeypatch):
    small = {"first_updates": 3, "updates": 2, "num_envs": 8, "edits": 6, "starts": 1}
    config = GenerateConfig(
        proposer="editor",
        cycles=3,
        specs=2,
        cycle_steps=512,
        num_envs=8,
        rollout_length=32,
        episodes=8,
        editor=EditorConfig(**small),
    )
    whole = generate(config, tmp_path / "whole")
    calls = iter((None, "SIGTERM"))
    with monkeypatch.context() as patch:
        patch.setattr(Host, "signal", lambda self: next(calls, "SIGTERM"))
        with pytest.raises(Interrupted, match="after 2 of 3 cycles"):
            generate(config, tmp_path / "parts")
    again = generate(config, tmp_path / "parts", resume=True)
    assert again.standing == whole.standing
    one, other = ((tmp_path / name / "archive.json").read_bytes() for name in ("whole", "parts"))
    assert one == other
    # Training (3 and twice 2 updates), the ways of the parents and the edits of three candidates for each spec.
    steps = whole.standing.steps["proposing"]
    assert steps >= 7 * 8 * 6 + 3 * (6 * 7 + 1)
    cost = whole.summary["proposer_cost"]
    assert cost == {"updates": 7, "env_steps": steps}
    assert whole.summary["authors"].get(editing.NAME, 0) >= 1


def test_ways_get_longer_where_the_agent_succeeds():
    entry = new_archive(SETTING.domain).original
    ask = lambda won, lost: editing._wanted(
        dataclasses.replace(entry, belief=Belief(won, lost)), 8.0, CONFIG, OfflineConfig(), 8
    )
    assert [ask(0, 0), ask(19, 1), ask(10, 10), ask(0, 20)] == [8.0, 10.0, 8.0, 6.4]
