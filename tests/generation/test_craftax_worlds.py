"""Craftax-Classic's worlds as a setting: operators make specs that hold, a little at a time. Nothing is compiled but in the loop."""

from __future__ import annotations

import copy
import json

import jax
import numpy as np
import pytest

pytest.importorskip("pydantic")

from jaxrl_envs.specs.craftax.encoding import encode
from jaxrl_envs.specs.craftax.language import CRAFTAX
from jaxrl_envs.specs.craftax.model import SKILLS
from jaxrl_envs.specs.craftax.reading import infeasible
from jaxrl_evolve import random
from jaxrl_evolve.generation.craftax import domain, validate
from jaxrl_evolve.generation.craftax_operators import MOST_STEPS, dangers, gifts
from jaxrl_evolve.generation.feedback import feedback_of
from jaxrl_evolve.generation.lifecycle import added, new_archive
from jaxrl_evolve.generation.offline import offline_proposer

DOMAIN = domain("small")


def child(kind, data, target, seed=0):
    operator = next(o for o in DOMAIN.operators if o.kind == kind)
    return operator.change(np.random.default_rng(seed), (copy.deepcopy(data),) * operator.parents, target)


def test_offline_proposals_hold_and_have_a_goal():
    able = {name: (64, 60 if name in ("collect_wood", "place_table", "wake_up") else 0) for name in SKILLS}
    feedback, archive = feedback_of(able, {}), new_archive(DOMAIN)
    shapes = lambda params: jax.tree.map(lambda x: (x.shape, str(x.dtype)), params)
    usual, operators, cells = shapes(encode(CRAFTAX.read({"size": "small"}))), set(), set()
    held = 0
    for cycle in range(4):
        found = offline_proposer(DOMAIN).propose(feedback, archive, 8, random.key(cycle))
        assert len(found.proposals) == 8
        assert not [r for r in found.rejections if r.reason == "invalid"], found.rejections
        for each, verdict in zip(
            found.proposals, validate("small", found.proposals, 0).verdicts, strict=True
        ):
            spec = CRAFTAX.read(dict(each.data))
            held += not verdict.reasons
            assert verdict.reasons[1:] == tuple(infeasible(spec))
            assert spec.goals and spec.ends_on_success and spec.time_limit <= MOST_STEPS
            assert shapes(encode(spec)) == usual
            operators.add(each.operator)
            cells.add(DOMAIN.cell(each.data, each.target))
        archive = added(archive, DOMAIN, found.proposals)
    assert held >= 28  # of 32; where there is no water, drinking is refused
    assert validate("large", found.proposals, 0).verdicts[0].reasons == (
        "size",
        "its size is small; it must be large",
    )
    assert operators >= {"hand out", "ask for another", "change the land"} and len(cells) > 16


def test_each_operator_changes_what_it_is_for():
    usual = CRAFTAX.write(CRAFTAX.read({"size": "small"}))
    given = usual
    for seed in range(4):  # the four things that an iron pickaxe is made of, one after the other
        given = child("grant", given, "make_iron_pickaxe", seed)
    assert len(gifts(given)) == 4 and given["goals"] == ["make_iron_pickaxe"]
    faded, names = given, []
    while (less := child("fade", faded, "make_iron_pickaxe")) is not None:
        names.append((len(gifts(less)), sum(less["start"]["inventory"].values())))
        faded = less
    assert names == sorted(names, reverse=True) and names[-1] == (0, 0)
    assert CRAFTAX.read(faded).start == CRAFTAX.read(usual).start
    harder = usual
    for seed in range(3):
        harder = child("threaten", harder, "eat_cow", seed)
    assert dangers(usual) == 0 and dangers(harder) >= 2
    moved = child("relocate", usual, "eat_cow", 3)
    assert moved["terrain"] != usual["terrain"] and moved["world"] == usual["world"]
    further = child("expand", {**usual, "goals": ["make_wood_pickaxe"]}, "make_wood_pickaxe")
    assert further["goals"][0] in ("collect_stone", "collect_coal")
    for skill in SKILLS:
        for kind in ("grant", "expand", "threaten", "relocate", "cross", "reset"):
            made = child(kind, usual, skill)
            assert made is None or CRAFTAX.read(made), (skill, kind)
    assert DOMAIN.needed("collect_diamond") >= {
        "make_iron_pickaxe",
        "collect_coal",
        "place_furnace",
        "collect_wood",
    }
    assert "wake_up" not in DOMAIN.needed("collect_diamond")


@pytest.mark.parametrize(("rarities", "most"), [("clean", 0.0667), ("faithful", 0.04)])
def test_coal_is_as_common_as_was_meant_or_as_it_was(rarities, most):
    made = domain("small", 100, rarities)
    relocate = next(o for o in made.operators if o.kind == "relocate")
    rng = np.random.default_rng(0)
    worlds = [relocate.change(rng, (copy.deepcopy(dict(made.original)),), "collect_coal") for _ in range(60)]
    coal = {world["terrain"]["coal"] for world in worlds if world}
    assert max(coal) == most and min(coal) == 0.0133
    with pytest.raises(
        ValueError, match="rarities of specs/craftax is 'true'; it must be one of clean, faithful"
    ):
        domain("small", 100, "true")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_loop_over_worlds(tmp_path):
    from jaxrl_evolve.generation.config import GenerateConfig
    from jaxrl_evolve.generation.train import generate
    from jaxrl_evolve.learners.ppo_config import PPOConfig
    from jaxrl_evolve.networks.config import NetworkConfig

    config = GenerateConfig(
        loop="dicode",
        env="specs/craftax",
        env_options={"size": "small", "max_steps": "64"},
        cycles=2,
        specs=3,
        cycle_steps=512,
        num_envs=8,
        rollout_length=16,
        learner=PPOConfig(epochs=1, minibatches=1, network=NetworkConfig(hidden=(8,))),
        episodes=8,
    )
    result = generate(config, tmp_path / "run")
    assert result.summary["authors"]["quality-diversity"] >= 3
    assert {f"skill_{name}" for name in SKILLS} <= {*result.rows[-1]}
    archive = json.loads((tmp_path / "run" / "archive.json").read_text())
    assert archive and result.standing.done == 2
