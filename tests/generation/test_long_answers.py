"""Answers that are made to take long: what is read of a million bytes is read in no more time than they have."""

from __future__ import annotations

import time

import pytest

from jaxrl_envs.specs.language import SpecError
from jaxrl_envs.specs.text import parse
from jaxrl_evolve.files import Unreadable, parse_json
from jaxrl_evolve.generation.extraction import items_in

LONG = 30_000
TWICE = "{" + ",".join(f'"k{i}":1' for i in range(LONG)) + f',"k{LONG - 1}":1' + "}"


def seconds_of(function, *arguments):
    began = time.process_time()
    function(*arguments)
    return time.process_time() - began


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("```" + " " * LONG, "no JSON"),
        ("```" + " " * LONG + "json" + "\t" * LONG, "no JSON"),
        (TWICE, f"'k{LONG - 1}' twice"),
        ('{"environments":[' + "{}," * 1_000 + "{}]}", "1,001 environments, more than the 256"),
        ("```\n[" + "0," * 256 + "0]\n```", "257 environments, more than the 256"),
        ("```\n{}\n```" * LONG, ""),
    ],
    ids=["fence", "fence of json", "twice", "many", "many in a block", "blocks"],
)
def test_an_answer(text, said):
    def read():
        if not said:
            assert items_in(text) == [{}] * 64
            return
        with pytest.raises(Unreadable, match=said):
            items_in(text)

    assert seconds_of(read) < 1.5  # where time grows with the square it is many seconds


def test_all_that_are_allowed_are_read():
    assert len(items_in("[" + "0," * 255 + "0]")) == 256


def test_a_spec_and_a_file():
    def read():
        with pytest.raises(SpecError, match=f"k{LONG - 1}: it stands twice"):
            parse(TWICE)
        with pytest.raises(Unreadable, match=f"'k{LONG - 1}' twice"):
            parse_json(TWICE.encode(), strict=True)

    assert seconds_of(read) < 1.5
    # The first of several is named.
    with pytest.raises(SpecError, match="^b: it stands twice"):
        parse('{"a": 1, "b": 1, "c": 1, "c": 2, "b": 2}')
