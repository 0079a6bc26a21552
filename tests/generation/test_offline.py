"""The proposer that needs nobody: targets, kinds of change, one change a child, and languages of one's own."""

from __future__ import annotations

import hall
import numpy as np
import pytest

from jaxrl_evolve import random
from jaxrl_evolve.generation.archive_config import ArchiveConfig
from jaxrl_evolve.generation.belief import Belief
from jaxrl_evolve.generation.domain import Domain, Operator, Skill
from jaxrl_evolve.generation.feedback import Feedback, feedback_of
from jaxrl_evolve.generation.lifecycle import added, new_archive
from jaxrl_evolve.generation.offline import offline_proposer
from jaxrl_evolve.generation.offline_config import OfflineConfig
from jaxrl_evolve.generation.targets import frontier, kinds_for, target_weights

DONE = feedback_of({"walk": (100, 95), "carry": (100, 0), "climb": (100, 0), "swim": (100, 0)}, {})


def test_targets_are_on_the_frontier_by_slope_descendants_and_width():
    config = OfflineConfig()
    # Carry is not ready, but can be handed out, so that climb need not wait; swim needs climb, which nobody can hand out.
    assert frontier(hall.DOMAIN, DONE, config) == ["carry", "climb"]
    # Equal rates: carry has two that wait for it, climb one.
    assert target_weights(hall.DOMAIN, DONE, config) == pytest.approx(
        [0.05, 0.05 + 0.8 * 3 / 5, 0.05 + 0.8 * 2 / 5, 0.05]
    )
    all_done = feedback_of(dict.fromkeys(hall.SKILLS, (50, 50)), {})
    assert target_weights(hall.DOMAIN, all_done, config) == pytest.approx([0.25] * 4)
    some = feedback_of({"walk": (10, 10), "carry": (10, 5), "climb": (10, 5), "swim": (10, 10)}, {})
    weights = target_weights(hall.DOMAIN, some, OfflineConfig(uniform=0.0))
    assert weights == pytest.approx([0, 0.5, 0.5, 0])


@pytest.mark.parametrize(
    ("won", "lost", "kinds"),
    [
        (3, 0, {"grant", "expand", "relocate", "cross"}),  # too few to tell
        (0, 20, {"grant"}),
        (4, 16, {"grant"}),
        (5, 15, {"relocate", "cross", "expand", "threaten"}),
        (15, 5, {"fade", "expand", "threaten"}),
    ],
)
def test_a_spec_calls_for_a_kind_of_change(won, lost, kinds):
    from dataclasses import replace

    entry = replace(new_archive(hall.DOMAIN).original, belief=Belief(won, lost))
    assert set(kinds_for(entry, OfflineConfig(), 16)) == kinds


def test_children_have_one_change_are_new_and_come_of_the_key_alone():
    proposer = offline_proposer(hall.DOMAIN)
    archive, seen = new_archive(hall.DOMAIN), []
    for cycle in range(4):
        found = proposer.propose(DONE, archive, 6, random.key(cycle))
        assert found == proposer.propose(DONE, archive, 6, random.key(cycle))
        assert len(found.proposals) == 6
        for child in found.proposals:
            parent = archive.entries[child.parents[0]]
            changed = [name for name in hall.ORIGINAL if child.data[name] != parent.data[name]]
            assert len(changed) == 1 and child.author == "quality-diversity"
            assert child.operator in [o.name for o in hall.OPERATORS]
        seen += [child.identity for child in found.proposals]
        archive = added(archive, hall.DOMAIN, found.proposals)
    assert len(set(seen)) == len(seen) == len(archive.entries) - 1
    assert proposer.propose(DONE, archive, 6, random.key(0)).proposals != found.proposals
    assert {e.operator for e in archive.entries.values()} >= {"grant", "relocate", "cross", "expand"}


def test_of_many_the_most_novel_are_taken():
    archive = new_archive(hall.DOMAIN)
    many, few = (
        offline_proposer(hall.DOMAIN, OfflineConfig(oversample=n))
        .propose(Feedback(), archive, 8, random.key(1))
        .proposals
        for n in (8, 1)
    )
    spread = lambda ps: archive.distance(np.asarray([p.features for p in ps])).mean()
    assert spread(many) > spread(few)


def test_a_language_of_ones_own_brings_its_own_operators_and_cannot_spoil_the_archive():
    def spoils(rng, parents, target):
        parents[0]["length"] = 99  # what it is given is a copy
        return {"no": "spec"}

    domain = Domain(hall.HALL, hall.ORIGINAL, (Skill("walk"),), (Operator("spoil", "relocate", spoils),))
    archive = new_archive(domain, ArchiveConfig())
    found = offline_proposer(domain).propose(Feedback(), archive, 2, random.key(0))
    assert not found.proposals and archive.original.data["length"] == 10
    assert {r.reason for r in found.rejections} == {"invalid"}
    assert "no: there is no such field" in found.rejections[0].faults
    nothing = Domain(hall.HALL, hall.ORIGINAL, (Skill("walk"),), (Operator("idle", "fade", lambda *_: None),))
    found = offline_proposer(nothing).propose(Feedback(), archive, 2, random.key(0))
    assert [r.reason for r in found.rejections] == ["unchanged"] * 6


@pytest.mark.parametrize(
    ("skills", "operators", "original", "match"),
    [
        ((Skill("a", ("b",)), Skill("b", ("a",))), hall.OPERATORS, {}, "needs itself"),
        ((Skill("a", ("bb",)), Skill("b")), hall.OPERATORS, {}, "needs 'bb', which is none"),
        ((Skill("a"), Skill("a")), hall.OPERATORS, {}, "skills has 'a' twice"),
        ((Skill("a"),), (), {}, "operators is empty"),
        ((Skill("a"),), (Operator("x", "gant", lambda *_: None),), {}, "did you mean grant"),
        ((Skill("a"),), hall.OPERATORS, {"length": 0}, "original is no spec of hall: length is 0"),
    ],
)
def test_a_domain_that_does_not_hold_is_refused(skills, operators, original, match):
    with pytest.raises(ValueError, match=match):
        Domain(hall.HALL, hall.spec(**original), skills, operators)
