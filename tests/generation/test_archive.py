"""The archive: what is believed, who plays, what becomes of a spec, and that a file of it is whole."""

from __future__ import annotations

import dataclasses
import json
import os

import hall
import numpy as np
import pytest

from jaxrl_evolve.generation.archive_config import ArchiveConfig
from jaxrl_evolve.generation.archive_file import read_archive, write_archive
from jaxrl_evolve.generation.belief import Belief
from jaxrl_evolve.generation.candidates import look_at_all
from jaxrl_evolve.generation.lifecycle import added, new_archive, observed, rejected, settled
from jaxrl_evolve.generation.proposal import Candidate, Proposed, Rejection
from jaxrl_evolve.generation.schedule import evenly, shares
from jaxrl_evolve.storage.folder import FolderError


def with_specs(archive, *specs, operator="grant", parents=(), target="climb"):
    found = look_at_all(
        hall.DOMAIN, archive, [Candidate(s, "test", operator, parents, target) for s in specs], len(specs)
    )
    return added(archive, hall.DOMAIN, found.proposals), [p.identity for p in found.proposals]


def test_of_each_reason_the_first_sentence_is_kept_and_a_file_of_before_has_none(tmp_path):
    looked = look_at_all(
        hall.DOMAIN,
        new_archive(hall.DOMAIN),
        [Candidate(hall.spec(length=99, slip=9), "a"), Candidate({}, "a")],
        2,
    )
    archive = rejected(new_archive(hall.DOMAIN), hall.DOMAIN, looked.rejections)
    assert archive.rejections == {"invalid": 2}
    assert archive.refused == {"invalid": "length is 99; it must be a whole number from 1 to 20 (and 1 more)"}
    path = tmp_path / "archive.json"
    write_archive(path, archive)
    assert read_archive(path)[0] == archive
    path.write_text(json.dumps({k: v for k, v in json.loads(path.read_text()).items() if k != "refused"}))
    assert read_archive(path)[0].refused == {}


def after(archive, **results):
    return settled(observed(archive, results))


def test_a_posterior_is_no_bare_share():
    assert Belief().learnability == pytest.approx(1 / 6)
    assert Belief(1, 1).learnability == pytest.approx(0.2)  # p (1 - p) would be 0.25 after two episodes
    assert Belief(50, 50).learnability == pytest.approx(0.25, abs=3e-3)
    assert Belief(0, 8).faded(0.5) == Belief(0, 4)


def test_a_spec_is_there_once_whatever_the_order_and_names_of_its_fields():
    archive = new_archive(hall.DOMAIN)
    same = dict(reversed(hall.spec(name="another", gifts=[]).items()))
    found = look_at_all(
        hall.DOMAIN,
        archive,
        [
            Candidate(same, "test"),
            Candidate(hall.spec(length=3), "test"),
            Candidate(hall.spec(length=3), "test"),
        ],
        3,
    )
    assert [r.faults for r in found.rejections] == [
        ("it is the same as the original",),
        ("it was proposed twice",),
    ]
    archive = rejected(added(archive, hall.DOMAIN, found.proposals), hall.DOMAIN, found.rejections)
    assert archive.rejections == {"duplicate": 2} and len(archive.entries) == 2
    assert added(archive, hall.DOMAIN, found.proposals) == archive


def test_a_spec_that_never_succeeds_is_left_alone_longer_each_time_and_then_given_up():
    config = ArchiveConfig(episodes=4, easier=1, retry=2, quarantines=2, discount=1.0)
    archive, (hard,) = with_specs(new_archive(hall.DOMAIN, config), hall.spec(length=20))
    archive = after(archive, **{hard: (4, 0)})
    assert archive.entries[hard].status == "active"  # it has no easier child yet
    archive, _ = with_specs(archive, hall.spec(length=20, gifts=["carry"]), parents=(hard,))
    seen = []
    for _ in range(12):
        active = archive.entries[hard].status == "active"
        archive = after(archive, **({hard: (4, 0)} if active else {}))
        seen.append((archive.entries[hard].status, archive.entries[hard].retry))
    # Quarantined at cycle 2 for 2, active at 4, quarantined at 5 for 4, active at 9, failed at 10.
    assert seen == [("quarantined", 4)] * 2 + [("active", None)] + [("quarantined", 9)] * 4 + [("active", None)] + [("failed", None)] * 4  # fmt: skip
    assert archive.entries[hard].episodes == 16


def test_what_is_learned_may_be_forgotten_and_the_original_stays():
    config = ArchiveConfig(episodes=8, mastery=0.8, discount=0.0)
    archive, (one,) = with_specs(new_archive(hall.DOMAIN, config), hall.spec(length=2))
    first = archive.original.identity
    archive = after(archive, **{one: (20, 20), first: (20, 20)})
    assert (archive.entries[one].status, archive.original.status) == ("learned", "active")
    assert [e.identity for e in archive.playing()] == [first]
    assert after(archive, **{one: (20, 5)}).entries[one].status == "active"
    with pytest.raises(ValueError, match="no spec of the archive"):
        observed(archive, {"nobody": (1, 1)})
    with pytest.raises(ValueError, match="3 successes of 2 episodes"):
        observed(archive, {one: (2, 3)})


def test_the_fittest_of_each_cell_play_first_and_no_more_than_there_may():
    archive = new_archive(hall.DOMAIN, ArchiveConfig(active=3, discount=1.0))
    specs = [hall.spec(length=n, gifts=g) for n, g in ((1, []), (2, []), (3, ["carry"]), (4, ["carry"]))]
    archive, (a, b, c, d) = with_specs(archive, *specs)
    archive = observed(archive, {a: (10, 5), b: (10, 4), c: (10, 1), d: (10, 0)})
    assert [e.identity for e in archive.elites()][:2] == [a, archive.original.identity]
    assert [e.identity for e in archive.playing()] == [archive.original.identity, a, c]
    # Staleness brings one back that was not played for long: 0.03 a cycle is more than what divides them.
    assert archive.fitness(archive.entries[d]) == pytest.approx(Belief(0, 10).learnability)
    for _ in range(3):
        archive = after(archive, **{a: (0, 0)})
    assert archive.fitness(archive.entries[a]) == pytest.approx(Belief(5, 5).learnability + 0.03)


def test_what_is_proposed_twice_or_is_there_is_a_duplicate():
    archive = new_archive(hall.DOMAIN)
    one, two = look_at_all(
        hall.DOMAIN, archive, [Candidate(hall.spec(length=n), "me") for n in (3, 4)], 2
    ).proposals
    first = dataclasses.replace(one, identity=archive.original.identity)
    found = Proposed((one, two, one, first), notes=("a note",)).new(archive)
    assert found.proposals == (one, two) and found.notes == ("a note",)
    assert found.rejections == (
        Rejection("duplicate", ("it was proposed twice",), "me"),
        Rejection("duplicate", ("it is there already",), "me"),
    )
    only = Proposed((one, two))
    assert only.new(archive) is only


def test_novelty_is_the_mean_distance_to_the_nearest():
    archive, _ = with_specs(
        new_archive(hall.DOMAIN, ArchiveConfig(neighbours=2)), hall.spec(length=20), hall.spec(length=4)
    )
    at = lambda length: hall.features(hall.read(hall.spec(length=length))).astype(np.float64)
    assert archive.novelty(at(12)[None]) == pytest.approx([(2 / 20 + 8 / 20) / 2])
    assert archive.distance(at(12)[None]) == pytest.approx([2 / 20])


def test_shares_are_by_rank_of_fitness_beside_a_fixed_share_of_the_original():
    archive = new_archive(hall.DOMAIN, ArchiveConfig(temperature=1.0, discount=1.0))
    archive, (a, b) = with_specs(archive, hall.spec(length=1), hall.spec(length=2))
    archive = observed(archive, {a: (10, 0), b: (10, 5)})
    first = archive.original.identity
    assert shares(archive, 0.4) == pytest.approx({first: 0.4, b: 0.4, a: 0.2})
    assert shares(archive, 0.4, "even") == pytest.approx({first: 0.4, b: 0.3, a: 0.3})
    assert shares(new_archive(hall.DOMAIN), 0.2) == {first: 1.0}
    for latest in ([a, b], [a, b, a, b], [first, a, b, b]):  # named more than once
        assert evenly({first: 1.0}, latest, 0.8) == pytest.approx({first: 0.2, a: 0.4, b: 0.4})
    assert evenly({first: 1.0}, [first], 0.8) == evenly({first: 1.0}, [], 0.8) == {first: 1.0}
    with pytest.raises(ValueError, match="original is 2"):
        shares(archive, 2)


def test_lineage_reaches_back_to_the_original():
    archive = new_archive(hall.DOMAIN)
    first = archive.original.identity
    archive, (a,) = with_specs(archive, hall.spec(length=1), parents=(first,))
    archive, (b,) = with_specs(archive, hall.spec(length=2), parents=(a, first, "of another archive"))
    assert archive.lineage(b) == [a, first] and archive.entries[b].parents == (a, first)


def test_a_file_has_all_of_it_or_the_one_before(tmp_path, monkeypatch):
    path = tmp_path / "archive.json"
    archive, (a, b) = with_specs(
        new_archive(hall.DOMAIN), hall.spec(length=1, slip=1 / 3), hall.spec(length=2)
    )
    write_archive(path, archive, {"proposer": {"at": 3}})
    assert read_archive(path) == (archive, {"proposer": {"at": 3}})
    later = after(archive, **{a: (20, 19), b: (7, 0)})

    def killed(*_):
        raise OSError(5, "killed")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", killed)
        with pytest.raises(FolderError):
            write_archive(path, later)
    assert read_archive(path)[0] == archive
    write_archive(path, later)
    assert read_archive(path)[0] == later


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda d: d.update(format=9), "format is 9"),
        (lambda d: d["entries"].append(d["entries"][0]), "stands there twice"),
        (lambda d: d["entries"][0].update(status="gone"), "status is 'gone'"),
        (lambda d: d["entries"][0].update(belief=[-1, 0]), "belief is"),
        (lambda d: d["entries"][0].update(parents=["x"]), "a parent 'x'"),
        (lambda d: d["entries"][0].pop("data"), "damaged"),
        (lambda d: d.update(entries=[]), "the original at least"),
        (lambda d: d["config"].update(actve=3), "actve"),
    ],
)
def test_a_damaged_archive_is_refused(tmp_path, change, match):
    path = tmp_path / "archive.json"
    write_archive(path, new_archive(hall.DOMAIN))
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))
    with pytest.raises(FolderError, match=match):
        read_archive(path)
