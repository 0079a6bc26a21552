"""The tech tree as a setting: operators make specs that hold, one change at a time, and parameters of one structure."""

from __future__ import annotations

import jax
import numpy as np
import pytest

pytest.importorskip("pydantic")

from jaxrl_envs.specs import language, xland
from jaxrl_envs.specs import tech_tree as tree
from jaxrl_evolve import random
from jaxrl_evolve.generation.feedback import feedback_of
from jaxrl_evolve.generation.lifecycle import added, new_archive
from jaxrl_evolve.generation.offline import offline_proposer
from jaxrl_evolve.generation.proposal import Proposal
from jaxrl_evolve.generation.tech_tree import gifts, goal, strewn, tech_tree

FEEDBACK = feedback_of({name: (64, 60 if name == "collect_wood" else 0) for name in tree.SKILLS}, {})


def parts(data):
    around = {kind: strewn(data, kind) for kind, _, _ in tree.STREWN if kind != "table"}
    return {"goal": goal(data), "gifts": gifts(data), "time": data["time_limit"], **around}


def test_operators_of_the_tech_tree_make_specs_that_hold():
    setting = tech_tree()
    domain, archive = setting.domain, new_archive(setting.domain)
    structure = lambda params: jax.tree.map(lambda x: (x.shape, str(x.dtype)), params)
    seen = set()
    for cycle in range(3):
        found = offline_proposer(domain).propose(FEEDBACK, archive, 8, random.key(cycle))
        assert len(found.proposals) == 8
        assert not [r for r in found.rejections if r.reason == "invalid"], found.rejections
        for child in found.proposals:
            parent, now = parts(archive.entries[child.parents[0]].data), parts(child.data)
            changed = [name for name in parent if parent[name] != now[name]]
            # What would hand out a goal goes with the change of the goal; a crossing is of all that lies around.
            assert changed and (
                len(changed) == 1 or child.operator in ("ask for another", "strew as another")
            )
            assert structure(setting.encode(child.data)) == structure(setting.env.params)
            assert set(tree.SKILLS) <= set(setting.columns(child.data))
            seen.add(child.operator)
            # It is filed under what it asks for, whatever was to be taught.
            assert child.target == goal(child.data)
        archive = added(archive, domain, found.proposals)
    assert seen >= {"hand out", "ask for another"}
    for operator in domain.operators:
        data = (domain.language.write(tree.original()) for _ in range(operator.parents))
        child = operator.change(np.random.default_rng(2), tuple(data), "make_key")
        assert child and domain.language.read(dict(child)), operator.name
    assert domain.skill("open_chest").needs == ("make_key",) and not domain.skill("open_chest").grantable


def test_a_spec_of_another_body_is_another_program():
    setting, grid = tech_tree(), language("grid")
    spec = xland.translate([1, 3, 1, 0, 0], [], [[3, 1]])
    data = {**grid.write(spec), "size": "small"}
    handed = Proposal(grid.identity(spec), data, (0.0,), "a person")
    (verdict,) = setting.validate([handed], 0).verdicts
    assert verdict.reasons == ("body", "its agent.body is 'carrier'; it must be 'walker'")


def test_a_spec_with_ranges_in_its_rules_is_another_program():
    setting, grid = tech_tree(), language("grid")
    data = grid.write(tree.original())
    rule = next(rule for rule in data["rules"] if rule["changes"])
    rule["changes"][0]["count"] = {"low": 1, "high": 2}
    handed = Proposal(grid.identity(grid.read(data)), data, (0.0,), "a person")
    (verdict,) = setting.validate([handed], 0).verdicts
    assert verdict.reasons == (
        "ranges",
        "numbers of its rules and predicates are ranges; in a loop they must be numbers",
    )
