"""Repair puts slips of spelling right and changes nothing that is said: near words with another meaning are left or dropped, in bounded time."""

import copy
import time

import pytest

from jaxrl_envs.specs import SpecError, language, tech_tree

GRID, WORLDS = language("grid"), language("craftax")


def repaired(**fields):
    """Data of the tech tree with other fields after repair, and what was changed of it."""
    data = {key: value for key, value in (tech_tree.spec_data() | fields).items() if value is not ...}
    return GRID.repair(data)


def test_what_is_no_field_of_a_clause_is_dropped():
    mended, said = repaired(success=[{"all": ["open_chest"], "one": ["make_key"]}])
    assert mended["success"][0] == {"all": ["open_chest"]}
    assert said[0] == "success[0].one is dropped: there is no such field"
    assert repaired(failure=[{"None": ["open_chest"]}])[0]["failure"] == [{"none": ["open_chest"]}]


NEAR = (
    ("types", {"name": "tree", "unwalkable": True}, {"name": "tree"}),
    ("types", {"name": "tree", "not_pushable": True}, {"name": "tree"}),
    ("types", {"name": "tree", "motion": "stil"}, {"name": "tree", "motion": "still"}),
    ("rules", {"when": "step", "of": "tree", "at_least": []}, {"when": "step", "of": "tree"}),
    ("rules", {"when": "not_held", "of": "tree"}, {"when": "not_held", "of": "tree"}),
    ("rules", {"wehn": "pickup"}, {"when": "pick_up"}),
    ("predicates", {"name": "p", "kind": "not near"}, {"name": "p", "kind": "not near"}),
    ("predicates", {"name": "p", "kind": "unachieved"}, {"name": "p", "kind": "unachieved"}),
    ("predicates", {"name": "p", "kind": "Count"}, {"name": "p", "kind": "count"}),
    ("predicates", {"name": "p", "compare": ">"}, {"name": "p", "compare": ">"}),
    ("predicates", {"name": "p", "compare": "="}, {"name": "p", "compare": "="}),
    ("predicates", {"region": {"max_row": 3, "Column": 2}}, {"region": {"column": 2}}),
    ("terrain", {"op": "Scatter", "type": "x", "cuont": 2}, {"op": "scatter", "type": "x", "count": 2}),
)


@pytest.mark.parametrize(("field", "row", "after"), NEAR)
def test_near_words_with_another_meaning_are_not_taken_for_it(field, row, after):
    assert repaired(**{field: [copy.deepcopy(row)]})[0][field][0] == after


def test_fields_written_otherwise_and_required_ones_that_are_misspelt_keep_their_values():
    usual = repaired()[0]
    mended, said = repaired(timeLimit=7, time_limit=..., hieght=usual["height"], height=...)
    assert mended == {**usual, "time_limit": 7}
    assert sorted(said) == [
        "hieght is dropped: there is no such field; height has its value",
        "timeLimit is dropped: there is no such field; time_limit has its value",
    ]
    assert repaired(ends_on_failure=False, reward={"steps": 5})[0] == {**usual, "reward": {}}
    skills = ["colect_iron", "make_gold_sword", "Collect Coal", "make_diamond_pickaxe"]
    assert WORLDS.repair({"goals": [*skills]})[0]["goals"] == [
        "collect_iron",
        skills[1],
        "collect_coal",
        skills[3],
    ]
    world, _ = WORLDS.repair({"world": {"zombies": 3, "cow-s": 1, "Skeleton": 0.5}})
    assert world == {"world": {"skeleton": 0.5}}


@pytest.mark.parametrize(
    ("fields", "side"),
    [
        ({"size": ..., "height": 30}, 9),
        ({"size": "smal", "height": 30}, 9),
        ({"size": ..., "Height": 30, "height": ...}, 9),
        ({"size": ..., "Size": "MEDIUM", "height": 30}, 13),
    ],
)
def test_a_map_is_cut_to_the_size_that_it_will_have(fields, side):
    mended, said = repaired(**fields)
    assert GRID.read(mended).height == side and f"height is {side} instead of 30" in said


@pytest.mark.parametrize("of", [GRID, WORLDS])
@pytest.mark.parametrize("key", ["version", "Version", "VERSION_"])
def test_of_a_later_version_nothing_is_mended(of, key):
    data = {**(tech_tree.spec_data() if of is GRID else {}), "height": 99, "Time_Limit": 5, key: 2}
    assert of.repair(data) == (data, [])
    with pytest.raises(SpecError):
        of.read(data)
    assert of.repair({**data, key: 1})[1]


def test_keys_of_ranges_and_of_instructions_are_put_right_as_others_are():
    step = {"Op": "Scatter", "type": "tree", "count": {"low": 0, "High": 4}}
    mended, said = repaired(terrain=[step])
    assert mended["terrain"][0] == {
        "op": "scatter",
        "type": "tree",
        "on": "floor",
        "count": {"low": 0, "high": 4},
    }
    assert said[:3] == [
        "terrain[0].Op is dropped: there is no such field; op has its value",
        "terrain[0].op is 'scatter' instead of 'Scatter'",
        "terrain[0].count.High is dropped: there is no such field; high has its value",
    ]
    strange, _ = repaired(terrain=[{"op": "fill", "type": "tree", "operation": "border"}, {"of": "fill"}])
    assert strange["terrain"] == [{"op": "fill", "type": "tree"}, {"of": "fill"}]


@pytest.mark.parametrize("of", [GRID, WORLDS])
def test_thousands_of_unknown_keys_take_no_time(of):
    strange = {f"time_limit{i}": i for i in range(4_000)}
    start = time.process_time()
    mended, said = of.repair({"reward": strange, "world": strange, **strange})
    assert time.process_time() - start < 2
    assert len(said) > 8_000 and not [line for line in said if "has its value" in line]
    assert mended == ({"reward": {}} if of is GRID else {"world": {}})
