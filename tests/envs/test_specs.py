"""The language of grid specs: one form for each, faults field by field, repair; nothing that is written breaks it."""

import copy
import json
import re
import time
from pathlib import Path

import numpy as np
import pytest
import spec_drawn

from jaxrl_envs.specs import SpecError, decoding, encoding, feasibility, files, language, tech_tree

GRID = language("grid")
PAGE = Path(__file__).parents[2] / "docs" / "generated_environments.md"


def changed(path, value, base=None):
    """Data of the tech tree with another value at a dotted path; `...` deletes."""
    data = copy.deepcopy(base or tech_tree.spec_data())
    *inner, last = [int(key) if key.isdigit() else key for key in path.split(".")]
    part = data
    for key in inner:
        part = part[key]
    if value is ...:
        del part[last]
    else:
        part[last] = value
    return data


def shuffled(rng, data):
    """The same spec, its rows and keys in another order."""
    data = {key: data[key] for key in rng.permutation([*data])}
    for field in ("types", "rules", "predicates", "success", "failure"):
        data[field] = [data[field][i] for i in rng.permutation(len(data[field]))]
    return {**data, "rules": [{**dict(reversed(rule.items()))} for rule in data["rules"]]}


def test_json_arrays_and_text_give_back_the_same_spec_and_its_hash_sees_no_order():
    rng = np.random.default_rng(0)
    hashes = set()
    for _ in range(20):
        spec = spec_drawn.drawn(rng)
        data = GRID.write(spec)
        assert GRID.read(json.dumps(data)) == GRID.read(data) == spec
        assert decoding.decode(encoding.encode(spec, "large"), spec) == spec
        other = GRID.read({**shuffled(rng, data), "name": "another"})
        assert other != spec and GRID.identity(other) == GRID.identity(spec)
        assert other.rules == spec.rules
        hashes.add(GRID.identity(spec))
    assert len(hashes) == 20
    tree = tech_tree.original()
    idle = {"when": "step", "of": "lava", "health": -1, "chance": 0}
    assert GRID.read(changed("rules", [*tech_tree.spec_data()["rules"], idle])) == tree
    assert GRID.identity(GRID.read(changed("time_limit", 161))) != GRID.identity(tree)


DEEP = "[" * 50_000
FAULTS = {
    '{"a": 1': "the spec: it is no JSON: Expecting ',' delimiter in line 1, column 8",
    " " * 10_485_760: "the spec: it has 10,485,760 bytes, more than the 1,048,576 that are read",
    DEEP: "the spec: it is nested more than 16 levels deep",
    "[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]": "the spec: it is nested more than 16 levels deep",
    '{"size": "small", "size": "large"}': "size: it stands twice in one object; it must stand there once",
    '{"types": [{}, {"opaque": true, "opaque": false}]}': "types[1].opaque: it stands twice in one object; it must stand there once",
    "": "the spec: it is empty",
    '{"width": 1e309}': "the spec: it has the number 1e309, which is larger than any that can be kept",
    '{"width": NaN}': "the spec: it has NaN for a number, which JSON has no word for",
    '{"width": ' + "9" * 5_000 + "}": "the spec: it has a number of thousands of digits",
    '{"width": 10000000000000000}': "the spec: it has a whole number of more than 15 digits",
    "[]": "the spec: it is a list of 0; it must be an object",
    b"\xff": "the spec: it is not UTF-8 text",
    '{"\\ud800": 1}': r"the spec: it has '\ud800' for a key; half a character is no text",
    '{"types": [{"\\udfff": 1}]}': r"the spec: it has '\udfff' for a key; half a character is no text",
    '{"version": 2, "new": 1}': "version is 2; it must be at most 1; a newer jaxrl_evolve reads newer specs",
}
NAMES = "it must be a name: a small letter, then small letters, digits, - or _, at most 24 in all"
IN_PLACE = [
    ("width", 9.5, "width is 9.5; it must be a whole number from 3 to 21"),
    ("width", 9.0, "width is 9.0; it must be a whole number from 3 to 21"),
    ("width", "9", "width is '9'; it must be a whole number from 3 to 21"),
    ("width", True, "width is true; it must be a whole number from 3 to 21"),
    ("width", 10, "width is 10; it must be at most 9 where size is 'small'"),
    ("width", ..., "width: it must be given"),
    ("size", "smal", "size is 'smal'; it must be one of small, medium, large; did you mean small?"),
    ("terain", [], "terain: there is no such field; did you mean terrain?"),
    ("rules.0.chanse", 1, "rules[0].chanse: there is no such field; did you mean chance or changes?"),
    ("rules.2.chance", 1.5, "rules[2].chance is 1.5; it must be a number from 0 to 1, or an object with low and high"),
    ("terrain.0.op", "scater", "terrain[0].op is 'scater'; it must be one of fill, border, rectangle, line, rooms, noise, scatter, band, path, cells; did you mean scatter?"),
    ("terrain.0.count", {"low": 5, "high": 2}, "terrain[0].count.low is 5; it must be at most high, which is 2"),
    ("terrain.0.count", {"low": 5}, "terrain[0].count.high: it must be given"),
    ("terrain.0.count", {"low": "a", "high": []}, "terrain[0].count.low is 'a'; it must be a whole number from 0 to 200"),
    ("terrain.0.count", {"low": 1, "high": 201}, "terrain[0].count.high is 201; it must be a whole number from 0 to 200"),
    ("rules.0.most", {"low": 1, "high": {}}, "rules[0].most.high is an object; it must be a whole number from 1 to 64"),
    ("terrain.0.count", 2.5, "terrain[0].count is 2.5; it must be a whole number from 0 to 200, or an object with low and high"),
    ("terrain.0.type", "tre", "terrain[0].type is 'tre'; there is no type of that name; did you mean tree?"),
    ("types.0.name", "Tree 1", f"types[0].name is 'Tree 1'; {NAMES}"),
    ("types.1.name", "tree", "types[1].name is 'tree'; another has that name; names must differ"),
    ("name", "a\u202eb", r"name is 'a\u202eb'; it has '\u202e'; control and bidirectional characters are no text"),
    ("rules.0", {"when": "timer", "spawns": "tree"}, "rules[0].most is null; a rule that spawns must say how many there may be, or it does so without bound; it must be a whole number from 1 to 64"),
    ("rules.1.at_most", [{"item": "wood", "count": 1}], "rules[1].needs[0].count is 2; it must be no more than at_most allows of 'wood', which is 1"),
    ("success", [], "success is empty; it must have at least one clause"),
    ("success.0.all", [], "success[0]: it has no predicates, so it would always hold; it must have at least one"),
    ("success.0.none", ["open_chest"], "success[0]: it can never hold, since 'open_chest' is in all and in none"),
    ("predicates.6.number", 12, "success[0]: it can never hold, since what 'open_chest' counts is from 0 to 9"),
    ("predicates.6", {"name": "open_chest", "kind": "health", "compare": "<=", "number": 9}, "success[0]: it always holds, so it tells nothing"),
    ("failure", [{"all": ["open_chest"]}], "success[0]: it can never hold, since wherever it would, failure[0] ends the episode"),
    ("failure", [{"all": ["ever"]}], "success[0]: it can never hold, since wherever it would, failure[0] ends the episode"),
    ("success.0.none", ["ever"], "success[0]: it can never hold, since 'ever' would have to hold and not to: what holds has been achieved"),
    ("success", [{"all": ["late"]}], "success[0]: it can never hold, since wherever it would, failure[0] ends the episode"),
    ("predicates.0", {"name": "collect_wood", "kind": "count", "of": "void"}, "predicates[0].of is 'void'; it lies beyond the map only; it must be another type"),
    ("failure", [{"all": ["open_chest", "make_key"]}], "success[0]: it is implied by how the episode ends: it holds wherever failure[0] does"),
]  # fmt: skip


TIMED = tech_tree.spec_data()
TIMED["predicates"] += [
    {"name": "ever", "kind": "achieved", "of": "open_chest"},
    {"name": "soon", "kind": "survived", "number": 10},
    {"name": "late", "kind": "survived", "number": 20},
]
TIMED["failure"] = [{"all": ["soon"]}]


def test_each_fault_is_one_sentence():
    for text, sentence in FAULTS.items():
        with pytest.raises(SpecError) as error:
            GRID.read(text)
        assert str(error.value) == sentence
    for path, value, sentence in IN_PLACE:
        with pytest.raises(SpecError) as error:
            GRID.read(changed(path, value, TIMED))
        assert sentence in str(error.value).splitlines(), (path, str(error.value))
    waiting = changed("types.5.hazard", 0, changed("types.6.hazard", 0))
    waiting["predicates"][6] = {"name": "open_chest", "kind": "survived", "number": 3}
    with pytest.raises(SpecError, match="it comes by waiting alone"):
        GRID.read(waiting)
    with pytest.raises(SpecError) as error:
        GRID.read(changed("width", 0, changed("height", 0)))
    assert [fault.path for fault in error.value.faults] == ["height", "width"]


def test_failure_that_need_not_come_first_is_allowed():
    """A chest that was open, or is opened before the tenth step, keeps the episode from ending then."""
    but = {"all": ["soon"], "none": ["ever"]}
    asked = lambda failure, *success: GRID.read(
        {**TIMED, "failure": [failure], "success": [{"all": [*success]}]}
    )
    assert asked(but, "open_chest", "late") and asked(but, "ever", "late")
    assert asked({"all": ["late"]}, "open_chest", "soon")
    with pytest.raises(SpecError, match="it can never hold"):
        asked({"all": ["open_chest"]}, "ever")


def test_what_lies_beyond_the_map_is_no_part_of_a_region_or_its_hash():
    at = lambda height, width: {"row": 2, "column": 3, "height": height, "width": width}
    started = lambda region: GRID.read(changed("agent", {"region": region}))
    there = lambda region: GRID.read(
        changed("predicates.0", {"name": "collect_wood", "kind": "at", "region": region})
    )
    for made in (started, there):
        assert made(at(21, 21)) == made(at(7, 6)) and GRID.read(GRID.write(made(at(21, 21)))) == made(
            at(7, 6)
        )
        assert (
            GRID.identity(made(at(6, 6))) != GRID.identity(made(at(7, 6))) == GRID.identity(made(at(8, 21)))
        )
    whole = {"row": 0, "column": 0, "height": 21, "width": 21}
    assert started(whole) == started(None)
    assert GRID.identity(tech_tree.original()) == "cecfa48d02df56306b465af8034c4647"


def test_a_range_that_rounding_closes_is_a_number():
    data = changed("rules.0.chance", {"low": 0.50001, "high": 0.50002})
    spec = GRID.read(data)
    assert 0.5 in [rule.chance for rule in spec.rules]
    assert GRID.read(GRID.write(spec)) == spec
    assert GRID.identity(spec) == GRID.identity(GRID.read(changed("rules.0.chance", 0.5)))


def test_names_that_refer_to_nothing_are_told_beside_fields_that_are_wrong():
    (door, *_) = re.findall(r"^```json\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    data = {**json.loads(door), "width": 0, "hight": 5}
    data["terrain"][3]["type"], data["success"][0]["all"][0] = "gaol", "at_gaol"
    data["rules"][0]["needs"][0]["item"] = "kez"
    said = lambda: {fault.path: fault.near for fault in refused(data).faults}
    wrong = {"width": (), "hight": ("height",)}
    lost = {
        "terrain[3].type": ("goal",),
        "success[0].all[0]": ("at_goal",),
        "rules[0].needs[0].item": ("key",),
    }
    assert said() == wrong | lost
    data["types"][0]["name"] = 7  # so it is not known which types there are
    assert said() == wrong | {"types[0].name": (), "success[0].all[0]": ("at_goal",)}
    assert [fault.path for fault in refused({**data, "version": 2}).faults] == ["version"]


def refused(data):
    with pytest.raises(SpecError) as error:
        GRID.read(data)
    return error.value


def test_thousands_of_faults_are_told_in_a_moment():
    """Of the first hundred each; looking for near matches of all took an hour."""
    data = {**tech_tree.spec_data(), **{f"k{i}": 0 for i in range(40_000)}}
    begun = time.process_time()
    with pytest.raises(SpecError) as error:
        GRID.read(json.dumps(data))
    assert time.process_time() - begun < 10
    assert [len(error.value.faults), str(error.value.faults[-1])] == [
        101,
        "the spec: it has 39,900 faults more of this kind",
    ]


def test_hostile_data_is_read_or_refused_and_repair_never_fails():
    rng = np.random.default_rng(1)
    sound, mended, said = [GRID.write(spec_drawn.drawn(rng)) for _ in range(6)], 0, []
    for i in range(100):
        data = spec_drawn.spoiled(rng, sound[i % 6])
        refused = False
        try:
            GRID.read(data)
        except SpecError as error:
            refused = True
            said.append([str(fault) for fault in error.faults])
        try:
            repaired, _ = GRID.repair(data)
        except SpecError:
            assert refused  # no JSON at all
            continue
        assert GRID.repair(repaired) == (repaired, [])
        try:
            GRID.read(repaired)
            mended += refused
        except SpecError:
            assert refused
    assert mended > 5 and len(said) > 50
    assert all(line.isprintable() and len(line) < 400 for lines in said for line in lines)


def test_repair_says_what_it_does_and_adds_what_success_needs_and_what_that_needs():
    data = tech_tree.spec_data()
    data |= {"time_limits": 5, "height": 99, "width": 8.6, "difficulty": -1}
    data["terrain"] = [{"op": "scater", "type": "chest", "count": {"low": 3, "high": 1}}]
    before = copy.deepcopy(data)
    repaired, said = GRID.repair(data)
    assert data == before
    assert said[:6] == [
        "height is 9 instead of 99",
        "time_limits is dropped: there is no such field",
        "width is 9 instead of 8.6",
        "difficulty is 0.0 instead of -1",
        "terrain[0].op is 'scatter' instead of 'scater'",
        "terrain[0].count goes from 1 to 3, not the other way",
    ]
    added = sorted(line.split("'")[1] for line in said[6:])
    assert added == ["ore", "rock", "tree"] and all("'open_chest' needs" in line for line in said[6:])
    assert feasibility.infeasible(GRID.read(repaired)) == []


def test_the_schema_is_strict_and_distances_tell_goals_apart():
    def objects(part):
        if isinstance(part, dict):
            if "properties" in part:
                assert part["required"] == [*part["properties"]] and part["additionalProperties"] is False
            assert not {"default", "oneOf", "whole"} & ({*part} - {*part.get("properties", {})})
        for inside in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
            objects(inside)

    objects(GRID.schema())
    assert GRID.schema()["properties"]["size"]["enum"] == ["small", "medium", "large"]
    usual, more, other = (
        GRID.features(GRID.read(data))
        for data in (tech_tree.spec_data(), tech_tree.spec_data(tree=6), tech_tree.spec_data("make_key"))
    )
    distance = lambda a, b: float(np.linalg.norm(a - b))
    assert usual.dtype == np.float32 and 0 < distance(usual, more) < 0.3 < distance(usual, other)


def test_the_spec_of_the_page_holds():
    text, world = re.findall(r"```json\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert files.read(world).goals == ("collect_iron",)
    spec = GRID.read(text)
    assert feasibility.infeasible(spec) == [] and feasibility.needed(spec) == {"goal"}
    assert "rule: when it interacts with door and has 1 key: that becomes floor, -1 key" in GRID.describe(
        spec
    )
    assert "line wall, row 0, column 3, to_row 4, to_column 3; rectangle door, row 2" in GRID.describe(spec)
    keyless = [step for step in json.loads(text)["terrain"] if step["type"] != "goal"]
    assert feasibility.infeasible(GRID.read({**json.loads(text), "terrain": keyless})) == [
        "success[0] cannot come about: 'at_goal' needs 'goal' on the map, where neither the terrain nor a rule can put it"
    ]
