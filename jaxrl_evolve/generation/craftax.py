"""Craftax-Classic as a setting: worlds whose goal, gifts, dangers and land are changed one at a time.

Operators are in `craftax_operators`. A generated world has a goal, ends with it, and is cut off after `MOST_STEPS` as in EnvGen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from jaxrl_envs.specs.craftax.biomes import BIOMES, biome
from jaxrl_envs.specs.craftax.encoding import encode
from jaxrl_envs.specs.craftax.language import CRAFTAX
from jaxrl_envs.specs.craftax.model import SKILLS, CraftaxSpec
from jaxrl_envs.specs.craftax.reading import infeasible
from jaxrl_envs.specs.craftax.skills import GIVEN_BY, NEEDS
from jaxrl_envs.specs.environments import make
from jaxrl_evolve.generation.craftax_operators import dangers, gifts, operators
from jaxrl_evolve.generation.domain import Descriptor, Domain, Skill
from jaxrl_evolve.generation.proposal import Proposal
from jaxrl_evolve.generation.setting import Setting, Validated, Verdict

RULES = (
    "A large map of grass, trees, lakes with beaches, and mountains with caves, ores and lava; night comes and goes. The agent walks, does "
    "something to the cell that it faces, sleeps, places and makes things. Trees give wood. Two wood make a table. Beside a table one wood makes a "
    "wooden pickaxe or sword. The pickaxe is for stone and coal. A stone places as a block; beside a table one makes a furnace. Beside a table a wood "
    "and a stone make a stone pickaxe or sword. The stone pickaxe is for iron. Beside a table and a furnace a wood, a stone, a coal and an iron make an "
    "iron pickaxe or sword. The iron pickaxe is for diamonds. Grass gives saplings now and then; a sapling that is placed on grass is ripe after 600 "
    "steps, and zombies trample it. Water is drunk, cows and ripe plants are eaten; without food, drink and sleep health goes. Zombies live on grass, more "
    "by night; skeletons shoot in caves. Who sleeps wakes up rested. Each skill pays once. Easier specs hand out items (start.inventory), place a table, a "
    "furnace or ores near the start (start.placed), ripe plants (start.plants) or cows, make things less rare (terrain), or ask for an earlier skill (goals)."
)


def craftax(size: str = "large", max_steps: int = 10_000, rarities: str = "clean") -> Setting:
    """The setting of `specs/craftax`.

    Args:
        size: of the map, ``"small"``, ``"medium"`` or ``"large"``.
        max_steps: of an episode in the original.
        rarities: ``"clean"``, or ``"faithful"``: coal is never very common, as in the simulator that EnvGen's results are of.

    Raises:
        ValueError: a value that is not allowed.
        ModuleNotFoundError: craftax is not installed.
    """
    env = make("craftax", size=size, max_steps=max_steps, rarities=rarities)
    return Setting(
        domain(size, max_steps, rarities), env, _encode, lambda data: SKILLS, partial(validate, size)
    )


def domain(size: str = "large", max_steps: int = 10_000, rarities: str = "clean") -> Domain:
    """Language, skills and operators; needs no craftax."""
    original = CRAFTAX.write(CRAFTAX.read({"size": size, "time_limit": max_steps, "name": "Craftax-Classic"}))
    given = set(GIVEN_BY.values())
    skills = tuple(
        Skill(
            name,
            tuple(dict.fromkeys(GIVEN_BY[need] for need in NEEDS[name] if need in GIVEN_BY)),
            name in given,
        )
        for name in SKILLS
    )
    descriptors = (
        Descriptor("gifts", 4, lambda data: (len(gifts(data)) + 1) // 2),
        Descriptor("danger", 3, dangers),
        Descriptor("land", len(BIOMES), lambda data: [*BIOMES].index(biome(data["terrain"]))),
    )
    return Domain(CRAFTAX, original, skills, operators(rarities), descriptors, RULES, goal)


def goal(data: Mapping[str, Any]) -> str:
    """The skill that a world asks for; of several, and of none, the data do not tell."""
    return data["goals"][0] if len(data["goals"]) == 1 else ""


def _encode(data: Mapping[str, Any]) -> Any:
    return encode(CRAFTAX.read(dict(data)))


def validate(size: str, proposals: Sequence[Proposal], seed: int) -> Validated:
    """Whether goals can come about; a spec of another size is another program, and refused. Nothing is played."""
    del seed
    return Validated([_verdict(size, CRAFTAX.read(dict(p.data))) for p in proposals])


def _verdict(size: str, spec: CraftaxSpec) -> Verdict:
    if spec.size != size:
        return Verdict(("size", f"its size is {spec.size}; it must be {size}"))
    reasons = infeasible(spec)
    return Verdict(("feasibility", *reasons) if reasons else ())
