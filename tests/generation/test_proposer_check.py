"""Proposers of others that fail or give rubbish: one sentence that names them, before anything is trained on or written down."""

from __future__ import annotations

import dataclasses
import json

import hall
import hall_env
import numpy as np
import pytest
from asking import ARCHIVE, FEEDBACK, OFFLINE

from jaxrl_evolve import random
from jaxrl_evolve.generation.ahead import Ahead
from jaxrl_evolve.generation.candidates import look_at_all
from jaxrl_evolve.generation.check import checked
from jaxrl_evolve.generation.lifecycle import added
from jaxrl_evolve.generation.proposal import Candidate, Proposal, Proposed, Proposer, Rejection
from jaxrl_evolve.generation.proposers import make_proposer
from jaxrl_evolve.generation.standing import Standing
from jaxrl_evolve.settings.foreign import Refused
from jaxrl_evolve.training.register import register

(GOOD,) = look_at_all(hall.DOMAIN, ARCHIVE, [Candidate(hall.spec(length=3), "me")], 1).proposals
OTHER = look_at_all(hall.DOMAIN, ARCHIVE, [Candidate(hall.spec(length=n), "me") for n in range(2, 9)], 9)


def given(found, **more):
    """A checked proposer that gives this, or raises it."""

    def propose(feedback, archive, k, key):
        if isinstance(found, BaseException):
            raise found
        return found

    return checked("proposer 'mine'", Proposer("mine", propose, **more), hall.DOMAIN)


def propose(found, archive=ARCHIVE):
    return given(found).propose(FEEDBACK, archive, 2, random.key(0))


def changed(**changes):
    return Proposed((dataclasses.replace(GOOD, **changes),))


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (ValueError("boom"), "failed with ValueError: boom"),
        (KeyError("nope"), "failed with KeyError: 'nope'"),
        (SystemExit(1), "failed with SystemExit: 1"),
        (None, "gave a NoneType; it must be a Proposed"),
        ([{"a": 1}], "gave a list; it must be a Proposed"),
        (Proposed(("x",)), r"gave proposals\[0\] that is a str; it must be a Proposal"),
        (Proposed(7), "gave proposals that are a int; they must be a tuple"),
        (Proposed((), ("no",)), r"gave rejections\[0\] that is a str; it must be a Rejection"),
        (Proposed((), (Rejection("invalid", "no", "me"),)), "whose faults are a str; they must be a tuple"),
        (Proposed(notes="late"), "whose notes are a str; they must be a tuple of text"),
        (Proposed(seconds=float("nan")), "gave seconds nan; it must be a number from 0"),
        (Proposed(steps=-1), "gave steps -1; it must be a number from 0"),
        (Proposed(OTHER.proposals), "gave 7 new specs; there must be at most 2"),
        (changed(data={"x": 1}), "data are no spec: x: there is no such field"),
        (changed(data=[1]), "data are a list; they must be an object of fields"),
        (changed(data=hall.spec(length=None)), "data are no spec: length is None"),
        (changed(data=hall.spec(gifts=7)), "data are no spec: read of language 'hall' failed with TypeError"),
        (changed(data=hall.spec(length=3, gifts=["walk", "carry"])), "data are not as the language writes"),
        (changed(identity="zz"), "identity is 'zz'; it must be that of its data, " + GOOD.identity[:8]),
        (changed(identity=None), "identity is null; it must be"),
        (changed(features=(float("nan"),) * 7), "features are not the 7 numbers that the language has"),
        (changed(features=GOOD.features[:2]), "features are not the 7 numbers"),
        (changed(features="far"), "features are not the 7 numbers"),
        (changed(parents=("nope",), operator="hand out"), "parents have 'nope', which is no spec of"),
        (changed(parents="nope"), "parents are a str; they must be a tuple of text"),
        (changed(author=None), "author is a NoneType; it must be text"),
        (changed(changes=(1,)), "changes are a tuple; they must be a tuple of text"),
    ],
    ids=lambda x: x[:24] if isinstance(x, str) else "",
)
def test_rubbish_is_refused_by_a_sentence_with_the_name(found, said):
    with pytest.raises(Refused, match=rf"^propose of proposer 'mine' .*{said}") as caught:
        propose(found)
    assert "\n" not in str(caught.value)


def test_proposers_by_name_are_looked_at():
    register("proposer", "rubbish", lambda *_: Proposer("rubbish", lambda *_: None))
    config = dataclasses.replace(hall_env.CONFIG, proposer="rubbish")
    made = make_proposer(config, hall_env.SETTING, None)
    with pytest.raises(
        Refused, match="^propose of proposer 'rubbish' gave a NoneType; it must be a Proposed"
    ):
        made.propose(FEEDBACK, ARCHIVE, 2, random.key(0))


def test_what_holds_passes_as_it_is():
    found = Proposed(
        (GOOD,), (Rejection("surplus", ("far",), "me"),), ("a note",), np.float32(0.5), np.int64(3)
    )
    assert propose(found) == found
    asked = FEEDBACK, ARCHIVE, 2, random.key(0)
    assert checked("it", OFFLINE, hall.DOMAIN).propose(*asked) == OFFLINE.propose(*asked)
    plain = given(found)
    assert plain.state() == {} and plain.cost() == {} and plain.judge is None and plain.name == "mine"


def test_what_is_there_or_comes_twice_is_no_proposal_and_words_are_cleaned():
    first = ARCHIVE.original
    original = Proposal(first.identity, first.data, first.features, "me")
    a, b = OTHER.proposals[:2]
    found = propose(Proposed((a, b, a, b, original)))
    assert found.proposals == (a, b)
    assert [r.reason for r in found.rejections] == ["duplicate"] * 3
    assert [r.faults[0] for r in found.rejections] == ["it was proposed twice"] * 2 + ["it is there already"]
    (said,) = propose(changed(author="m\u202ee\n", purpose="x" * 1000)).proposals
    assert said.author == "me" and len(said.purpose) == 400


def test_other_functions_are_named():
    loop = {}
    loop["self"] = loop
    for state in (lambda: {"x": object()}, lambda: [1], lambda: 1 / 0, lambda: loop):
        with pytest.raises(Refused, match="^state of proposer 'mine' (failed with|gave a list)"):
            given(Proposed(), state=state).state()
    assert given(Proposed(), state=lambda: {"a": np.arange(2)}).state() == {"a": [0, 1]}
    with pytest.raises(Refused, match="^restore of proposer 'mine' failed with KeyError: 'at'"):
        given(Proposed(), restore=lambda state: state["at"]).restore({})
    with pytest.raises(Refused, match="^judge of proposer 'mine' gave a bool; it must be text"):
        given(Proposed(), judge=lambda *_: True).judge(GOOD, [])
    with pytest.raises(Refused, match="^cost of proposer 'mine' gave a dict; it must be an object of finite"):
        given(Proposed(), cost=lambda: {"calls": "many"}).cost()
    with pytest.raises(Refused, match="^close of proposer 'mine' failed with ZeroDivisionError"):
        given(Proposed(), close=lambda: 1 / 0).close()
    with pytest.raises(Refused, match="^state of proposer 'mine' is a dict; it must be a function"):
        given(Proposed(), state={})


def test_a_parent_that_is_not_there_has_no_children():
    operator = next(o.name for o in hall.DOMAIN.operators if o.kind == "grant")
    odd = dataclasses.replace(GOOD, parents=("nope", ARCHIVE.original.identity), operator=operator)
    assert added(ARCHIVE, hall.DOMAIN, [odd]).original.grants == 1


def test_what_fails_ahead_leaves_where_the_loop_stands():
    standing = Standing(ARCHIVE, proposer={"at": 1}, own={"came": {"old": 1}, "more": 2})
    for found in (ValueError("boom"), None):
        ahead = Ahead(given(found), OFFLINE, 5.0)
        ahead.begin(FEEDBACK, ARCHIVE, 2, random.key(0))
        after, failed = ahead.written(standing, 2, random.key(1))
        assert isinstance(failed, Refused) and after == dataclasses.replace(standing, own={"more": 2})
    ahead = Ahead(given(Proposed((GOOD,))), OFFLINE, 5.0)
    ahead.begin(FEEDBACK, ARCHIVE, 1, random.key(0))
    after, failed = ahead.written(standing, 1, random.key(1))
    assert failed is None and after.proposer == {} and after.own["more"] == 2
    assert json.loads(json.dumps(after.own["came"]))["proposals"][0]["identity"] == GOOD.identity
