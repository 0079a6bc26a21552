"""What anyone may write for a spec, through whoever hands it in: refused in a sentence, mended and said so, or harmless; a loop never stops."""

import copy
import json

import pytest

pytest.importorskip("pydantic")

from jaxrl_envs.specs import tech_tree as tree
from jaxrl_evolve import random
from jaxrl_evolve.generation.feedback import Feedback
from jaxrl_evolve.generation.lifecycle import new_archive
from jaxrl_evolve.generation.offline import offline_proposer
from jaxrl_evolve.generation.person import person_proposer
from jaxrl_evolve.generation.proposal import Proposed, Proposer
from jaxrl_evolve.generation.recorded import recorded_proposer
from jaxrl_evolve.generation.tech_tree import domain

DOMAIN = domain()
ARCHIVE = new_archive(DOMAIN)
NOBODY = Proposer("nobody", lambda *_: Proposed())
USUAL = tree.spec_data()


def changed(**fields):
    return json.dumps({**copy.deepcopy(USUAL), **fields})


def number(digits):
    return changed(width=12345).replace("12345", digits)


SAME = "it is the same as the original"
SPAWNS = {"when": "timer", "spawns": "tree"}
UPSIDE_DOWN = [{"op": "scatter", "type": "tree", "count": {"low": 5, "high": 2}}, *USUAL["terrain"][1:]]
IMPLIED = "success[0]: it is implied by how the episode ends: it holds wherever failure[0] does"
NEVER = "success[0]: it can never hold, since 'open_chest' is in all and in none"
UNBOUND = (
    "rules[0].most is null; a rule that spawns must say how many there may be, or it does so without bound"
)
NEWER = "version is 2; it must be at most 1; a newer jaxrl_evolve reads newer specs"
TWICE = "the spec: it has the field 'width' twice in one object, once without what is not seen of it"
# By kind: the spec, what is said of a person's, and of a recorded one, which is mended where that needs no guess.
BAD = {
    "success implied by termination": (
        changed(failure=[{"all": ["open_chest", "make_key"]}]),
        IMPLIED,
        IMPLIED,
    ),
    "contradictory success": (
        changed(success=[{"all": ["open_chest"], "none": ["open_chest"]}]),
        NEVER,
        NEVER,
    ),
    "spawns without bound": (changed(rules=[SPAWNS, *USUAL["rules"]]), UNBOUND, "rules[0].most is 8 instead"),
    "low above high": (
        changed(terrain=UPSIDE_DOWN),
        "terrain[0].count.low is 5; it must be at most high, which is 2",
        "terrain[0].count goes from 2 to 5, not the other way",
    ),
    "bidirectional text": (changed(name="a\u202eb", purpose="c\u2066d"), SAME, SAME),
    "bidirectional twin of a field": (changed(**{"wid\u202eth": 3}), TWICE, TWICE),
    "large": (changed(terrain=[{"op": "fill", "type": "tree"}] * 18_000), "more than the 50,000 values", None),
    "ten megabytes of nothing": (" " * 10_485_760, "0 of 4 specs", "there is no JSON in the answer"),
    "deep": ('{"terrain":' + "[" * 50 + "]" * 50 + "}", "nested more than 16 levels deep", None),
    "deeper": ("[" * 100_000 + "]" * 100_000, "nested more than 100 levels deep", None),
    "a key twice": ('{"size": "small", "size": "large"}', "it has the field 'size' twice in one object", None),
    "1e309": (number("1e309"), "it has 1e309 for a number, which no number can be", None),
    "NaN": (number("NaN"), "it has NaN for a number", None),
    "a float for a whole number": (number("9.5"), "width is 9.5; it must be a whole number from 3 to 21", SAME),
    "an unknown field": (changed(terain=[]), "terain: there is no such field; did you mean terrain?", SAME),
    "a newer version": (changed(version=2, new=1), NEWER, NEWER),
    "another order": (json.dumps(dict(reversed(USUAL.items()))), SAME, SAME),
    "no object": ("7", "the spec is a int; it must be an object of fields", "environments must be a list"),
}  # fmt: skip


def told(proposed):
    """Everything that is said: notes, faults of what was refused, what was mended."""
    faults = [fault for rejection in proposed.rejections for fault in rejection.faults]
    return "\n".join(
        [*proposed.notes, *faults, *(change for p in proposed.proposals for change in p.changes)]
    )


@pytest.mark.parametrize("kind", BAD)
def test_it_is_said_and_stops_nothing(kind, tmp_path):
    text, by_person, recorded = BAD[kind]
    file, answers = tmp_path / "mine.json", tmp_path / "answers.jsonl"
    file.write_text(f"[{text}]")
    answers.write_text(json.dumps({"author": "a test", "answer": text}) + "\n")
    for proposer, sentence in (
        (person_proposer(DOMAIN, file, NOBODY), by_person),
        (recorded_proposer(DOMAIN, answers, NOBODY), recorded or by_person),
    ):
        found = proposer.propose(Feedback(), ARCHIVE, 4, random.key(0))
        assert sentence in told(found)
        assert len(found.proposals) == ("instead" in sentence or "other way" in sentence)
        assert "\u202e" not in told(found)


def test_the_loop_goes_on_with_the_offline_proposer(tmp_path):
    answers = tmp_path / "answers.jsonl"
    answers.write_text(json.dumps({"author": "a test", "answer": BAD["a newer version"][0]}) + "\n")
    found = recorded_proposer(DOMAIN, answers, offline_proposer(DOMAIN)).propose(
        Feedback(), ARCHIVE, 2, random.key(0)
    )
    assert [p.author for p in found.proposals] == ["quality-diversity"] * 2
    assert "2 of 2 specs are from the proposer quality-diversity" in found.notes
