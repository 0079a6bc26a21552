"""The language of Craftax-Classic's worlds: one form for each, faults field by field, repair. Nothing is compiled."""

import json

import jax
import numpy as np
import pytest

pytest.importorskip("pydantic")

from jaxrl_envs.specs import SpecError, files, language, tech_tree
from jaxrl_envs.specs.craftax.biomes import BIOMES, biome, of_biome
from jaxrl_envs.specs.craftax.encoding import decode, encode
from jaxrl_envs.specs.craftax.model import BLOCKS, FACINGS, RIPE, SIZES, SKILLS, CraftaxSpec, Inventory
from jaxrl_envs.specs.craftax.reading import infeasible
from jaxrl_envs.specs.craftax.skills import GIVEN_BY, NEEDS
from jaxrl_envs.specs.fields import bounds, choices

WORLDS = language("craftax")


def drawn(rng, part=CraftaxSpec, path=""):
    """Data with every field somewhere within its bounds."""
    data = {}
    for name, field in part.model_fields.items():
        ends, options = bounds(field), choices(field)
        if name == "placed":
            block = [*BLOCKS][rng.integers(len(BLOCKS))]
            data[name] = [
                {"block": block, "count": int(rng.integers(1, 17)), "nearest": 2, "farthest": 9}
            ] * 3
        elif isinstance(field.default, tuple):
            data[name] = [] if name == "achieved" else [options[i] for i in rng.permutation(len(options))[:3]]
        elif hasattr(field.annotation, "model_fields"):
            data[name] = drawn(rng, field.annotation, f"{path}{name}.")
        elif name in ("nearest", "farthest"):
            data[name] = 2 if name == "nearest" else 9
        elif options:
            data[name] = options[rng.integers(len(options))]
        elif isinstance(field.default, bool):
            data[name] = bool(rng.integers(2))
        elif isinstance(field.default, int) or name in ("row", "column"):
            most = 15 if name in ("row", "column") else ends[1]
            data[name] = int(rng.integers(ends[0], most + 1))
        elif isinstance(field.default, float):
            data[name] = round(float(rng.uniform(*ends)), 4)
    if "sand_low" in data:
        data["sand_low"], data["sand_high"] = sorted((data["sand_low"], data["sand_high"]))
    return data


def test_json_arrays_and_text_give_back_the_same_spec_and_its_hash_sees_no_order():
    rng, hashes = np.random.default_rng(0), set()
    usual = encode(CraftaxSpec())
    for _ in range(20):
        spec = WORLDS.read(drawn(rng))
        data = WORLDS.write(spec)
        assert WORLDS.read(json.dumps(data)) == WORLDS.read(data) == spec
        arrays = encode(spec)
        assert decode(arrays, spec) == spec
        assert [(x.shape, x.dtype) for x in jax.tree.leaves(arrays)] == [
            (x.shape, x.dtype) for x in jax.tree.leaves(usual)
        ]
        other = {key: data[key] for key in reversed(data)} | {"name": "another", "goals": data["goals"][::-1]}
        assert WORLDS.identity(WORLDS.read(other)) == WORLDS.identity(spec)
        hashes.add(WORLDS.identity(spec))
        assert WORLDS.features(spec).shape == WORLDS.features(CraftaxSpec()).shape
    assert len(hashes) == 20
    spelled_out = {"goals": [*SKILLS], "start": {"row": 32, "column": 32, "cows": {"nearest": 3}}}
    assert WORLDS.read(spelled_out) == WORLDS.read({}) == CraftaxSpec()
    assert not WORLDS.features(CraftaxSpec()).any()
    assert "terrain: as usual" in WORLDS.describe(CraftaxSpec())


FAULTS = {
    "there is no such field; did you mean terrain?": {"terain": {}},
    "terrain.coal is 2; it must be a number from 0 to 1": {"terrain": {"coal": 2}},
    "start.inventory.wood is 1.5; it must be a whole number from 0 to 9": {
        "start": {"inventory": {"wood": 1.5}}
    },
    "did you mean collect_iron?": {"goals": ["colect_iron"]},
    "start.placed[0].block is 'lawa'; it must be one of grass, water": {
        "start": {"placed": [{"block": "lawa"}]}
    },
    "start.row is 40; it must be from 0 to 15, since the map is small, or null": {
        "size": "small",
        "start": {"row": 40},
    },
    "terrain.sand_low is 1; it must be at most sand_high, which is 0.75": {"terrain": {"sand_low": 1}},
    "start.cows.nearest is 9; it must be at most farthest, which is 8": {"start": {"cows": {"nearest": 9}}},
    "goals[0] is 'wake_up'; it must not be in start.achieved": {
        "goals": ["wake_up"],
        "start": {"achieved": ["wake_up"]},
    },
    "version is 2; it must be at most 1; a newer jaxrl_evolve reads newer specs": {"version": 2},
}


@pytest.mark.parametrize("said", FAULTS)
def test_each_fault_is_a_sentence(said):
    with pytest.raises(SpecError) as error:
        WORLDS.read(FAULTS[said])
    assert said in str(error.value) and len(error.value.faults) == 1
    mended, changes = WORLDS.repair(FAULTS[said])
    if "wood" in said or "lawa" in said or said.startswith("version"):
        return
    assert changes and WORLDS.read(mended)


def test_what_goals_lack_is_told_and_put_there():
    bare = {"terrain": {"mountain_scale": 0.1, "tree_share": 0}, "world": {"cow": 0}}
    lacks = lambda goal, **more: infeasible(WORLDS.read({**bare, "goals": [goal], **more}))
    for goal, need in (
        ("make_iron_pickaxe", "tree"),
        ("eat_cow", "cow"),
        ("defeat_skeleton", "skeleton"),
        ("collect_diamond", "rock"),
    ):
        start = {"inventory": {"wood_pickaxe": 1, "wood": 9, "iron_pickaxe": 1}} if need == "rock" else {}
        data = {**bare, "goals": [goal], "start": start}
        (said,) = lacks(goal, start=start)
        assert said.startswith("goals[0] cannot come about") and (
            f"needs {need}" in said or goal == "collect_diamond"
        )
        mended, changes = WORLDS.repair(data)
        assert changes and not infeasible(WORLDS.read(mended))
    assert lacks("place_table", start={"inventory": {"wood": 1}})
    assert not lacks("place_table", start={"inventory": {"wood": 2}})
    assert not infeasible(CraftaxSpec(goals=SKILLS))


def test_time_for_plants_to_ripen_is_counted():
    lacks = lambda limit, **start: infeasible(
        WORLDS.read({"goals": ["eat_plant"], "time_limit": limit, "start": start})
    )
    # Eaten is what was ripe before the step, so one step after the plant is 600 old.
    for start, steps in (
        ({}, RIPE + 2),  # one step to find a sapling, and in the next it is placed and grows
        ({"inventory": {"sapling": 1}}, RIPE + 1),
        ({"plants": {"count": 1}}, RIPE + 1),
        ({"plants": {"count": 1, "age": 599}}, 2),
    ):
        assert lacks(steps - 1, **start) == [
            f"goals[0] cannot come about: 'eat_plant' takes {steps} steps, and the time limit is {steps - 1}"
        ]
        assert not lacks(steps, **start)
    assert not lacks(1, plants={"count": 1, "age": RIPE})


IMPOSSIBLE = (
    # On a map of 16 a corner is 16 steps from the middle and 30 from another: 0.05 + share > 0.7 where mountains have faded in so far.
    ("collect_stone", {"terrain": {"clear_radius": 64}}, {"terrain": {"clear_radius": 24}}),
    ("collect_stone", {"terrain": {"clear_radius": 25}}, {"terrain": {"clear_radius": 25}, "start": {"column": 15}}),
    ("collect_stone", {"terrain": {"clear_radius": 47}, "start": {"row": 0, "column": 15}},
     {"terrain": {"clear_radius": 46}, "start": {"row": 0, "column": 15}}),
    ("collect_drink", {"terrain": {"clear_radius": 23}}, {"terrain": {"clear_radius": 22}}),
    ("collect_stone", {"terrain": {"coal": 1}}, {"terrain": {"coal": 0.9}}),
    ("collect_iron", {"terrain": {"coal": 1}}, {"terrain": {"iron": 1, "coal": 0.9}, "start": {"inventory": {"stone_pickaxe": 1}}}),
    ("collect_diamond", {"terrain": {"iron": 1}, "start": {"inventory": {"iron_pickaxe": 1}}}, {"start": {"inventory": {"iron_pickaxe": 1}}}),
    ("eat_cow", {"world": {"despawn_distance": 4}}, {"world": {"despawn_distance": 5}}),
    ("defeat_zombie", {"world": {"despawn_distance": 10}}, {"world": {"despawn_distance": 11}}),
    ("defeat_skeleton", {"world": {"despawn_distance": 10}}, {"world": {"despawn_distance": 11}}),
    ("defeat_skeleton", {"terrain": {"mountain_scale": 0}, "world": {"skeleton": 0}, "start": {"block": "path", "skeletons": {"count": 1}}},
     {"terrain": {"mountain_scale": 0}, "start": {"block": "path"}}),
)  # fmt: skip


@pytest.mark.parametrize(("goal", "never", "maybe"), IMPOSSIBLE)
def test_what_the_generator_cannot_make_is_told(goal, never, maybe):
    lacks = lambda data: infeasible(WORLDS.read({"size": "small", "goals": [goal], **data}))
    assert len(lacks(never)) == 1 and not lacks(maybe)


def test_stone_in_hand_is_placed_and_mined():
    flat = {"terrain": {"mountain_scale": 0}, "goals": ["collect_stone", "defeat_skeleton"]}
    assert not infeasible(WORLDS.read({**flat, "start": {"inventory": {"stone": 1}}}))
    assert len(infeasible(WORLDS.read(flat))) == 2


def test_what_cannot_be_provided_does_not_keep_the_rest_from_it():
    dry = {"terrain": {"water_scale": 0}, "world": {"cow": 0}, "time_limit": 100}
    mended, said = WORLDS.repair({**dry, "goals": ["eat_plant", "collect_drink"]})
    assert said == ["start.placed has 4 of water, since 'collect_drink' needs water"]
    assert [line.split("'")[1] for line in infeasible(WORLDS.read(mended))] == ["eat_plant"]
    full = {"placed": [{"block": "sand"}] * 8}
    mended, said = WORLDS.repair({**dry, "start": full, "goals": ["collect_drink", "eat_cow"]})
    assert said == ["start.cows.count is 1, since 'eat_cow' needs cow"]


@pytest.mark.parametrize("strange", ["a\u202eb", "\u200bab", "a\x00", "a\nb", "a\u2028b"])
@pytest.mark.parametrize("field", ["name", "purpose", "parent"])
def test_what_hides_in_text_is_refused_as_in_grid_specs(field, strange):
    said = []
    for tongue, data in ((WORLDS, {}), (language("grid"), tech_tree.spec_data())):
        with pytest.raises(SpecError) as error:
            tongue.read({**data, field: strange})
        said.append(str(error.value))
    assert said[0] == said[1] and said[0].startswith(f"{field} is 'a" if strange[0] == "a" else field)
    assert WORLDS.read({field: "Größe 狐 b"})


def test_of_all_skills_one_must_be_left():
    with pytest.raises(SpecError) as error:
        WORLDS.read({"start": {"achieved": [*SKILLS]}})
    assert str(error.value) == "start.achieved is all skills; it must leave one to be done"
    spec = WORLDS.read({"start": {"achieved": [*SKILLS[1:]]}})
    assert "success: all skills that are not done" in WORLDS.describe(spec)
    assert WORLDS.identity(spec) == LEFT and decode(encode(spec), spec) == spec


LEFT = "6d42cd8dda212f94d2a3a0f8d3427fae"
"""The identity of a spec without goals in which one skill is left, as runs have stored it."""


def test_kinds_of_land_are_told_apart():
    for name in BIOMES:
        spec = of_biome(CraftaxSpec(), name)
        assert biome(WORLDS.write(spec)["terrain"]) == name
        assert spec.start.block == ("path" if name == "mountain" else "grass")


def test_a_file_says_which_language_it_is_in(tmp_path):
    path = tmp_path / "world.json"
    path.write_text(json.dumps({"language": "craftax", "size": "small"}))
    assert files.read_file(path) == CraftaxSpec(size="small")
    for data, said in (
        (
            {"language": "craftacs"},
            "language is 'craftacs'; it must be one of grid, craftax; did you mean craftax",
        ),
        ({"language": "grid", "size": "small"}, "height: it must be given"),
        ({"size": "small"}, "height: it must be given"),
    ):
        path.write_text(json.dumps(data))
        with pytest.raises(SpecError, match=said):
            files.read_file(path)


def test_numbers_and_names_are_those_of_craftax():
    constants = pytest.importorskip("craftax.craftax_classic.constants")
    states = pytest.importorskip("craftax.craftax_classic.envs.craftax_state")
    assert SKILLS == tuple(a.name.lower() for a in constants.Achievement) == tuple(NEEDS)
    named = {block.name.lower().removeprefix("crafting_"): block.value for block in constants.BlockType}
    assert BLOCKS.items() <= named.items()
    assert [constants.Action[name.upper()].value for name in FACINGS] == [1, 2, 3, 4]
    assert [*Inventory.model_fields] == [*states.Inventory.__dataclass_fields__]
    params, sizes, usual = states.EnvParams(), states.StaticEnvParams(), CraftaxSpec()
    assert (SIZES["large"],) * 2 == sizes.map_size and usual.time_limit == params.max_timesteps
    world = usual.world
    assert [world.day_length, world.zombie_health, world.cow_health, world.skeleton_health] == [
        *(params.day_length, params.zombie_health, params.cow_health, params.skeleton_health)
    ]
    assert [world.cow, world.zombie, world.zombie_night, world.skeleton, world.despawn_distance] == [
        *(params.spawn_cow_chance, params.spawn_zombie_base_chance, params.spawn_zombie_night_chance),
        *(params.spawn_skeleton_chance, params.mob_despawn_distance),
    ]
    assert {*GIVEN_BY.values()} <= {*SKILLS}
