"""What a grid spec is made of, field by field. Names that refer to each other are checked in `references`."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field

from jaxrl_envs.specs.caps import MOST_HEALTH, MOST_HELD, MOST_STEPS, PRESETS
from jaxrl_envs.specs.instructions import Name, Number, Part, Step, Whole, counting, spanning

VERSION = 1
"""Of the language; a spec of a later one is refused."""
_MOST = PRESETS["large"]

Motion = Literal["still", "random", "chase", "flee"]
When = Literal["step", "interact", "pick_up", "adjacent", "held", "timer", "on", "meets"]
Kind = Literal[
    "count", "holds", "near", "beside", "at", "achieved", "survived", "health", "with", "without", "meets"
]
Body = Literal["walker", "carrier"]
Deed = Literal["ahead", "clockwise", "counterclockwise", "pick_up", "put_down", "interact"]
Side = Literal["up", "right", "down", "left"]
Compare = Literal[">=", "<=", "=="]
Colour = Literal[
    "grey", "black", "white", "red", "green", "blue", "yellow", "orange", "purple", "brown", "cyan", "pink"
]
MOTIONS, WHENS, KINDS, COMPARES, COLOURS = (
    get_args(choice) for choice in (Motion, When, Kind, Compare, Colour)
)
BODIES, DEEDS, SIDES = (get_args(choice) for choice in (Body, Deed, Side))


class Type(Part):
    """What a cell may hold, or the agent.

    Attributes:
        walkable: the agent may enter its cell.
        pickable: picking it up puts it into the inventory and leaves floor.
        pushable: walking into it moves it on, if there is floor behind.
        opaque: what lies behind it is not seen.
        consumable: interacting with it leaves floor and heals.
        ground: it lies below other things, as floor does: they are pushed and move onto it, and where they leave it is there again.
        hazard: health lost in each step in which the agent stands on it or, if it is not walkable, beside it.
        heals: health won by consuming it.
        health: how many times it must be interacted with until that has an effect.
        motion: how it moves, onto floor only.
        speed: the probability that it tries to in a step.
        colour: in pictures.
    """

    name: Name
    walkable: bool = False
    pickable: bool = False
    pushable: bool = False
    opaque: bool = False
    consumable: bool = False
    ground: bool = False
    hazard: int = Field(default=0, ge=0, le=MOST_HEALTH)
    heals: int = Field(default=0, ge=0, le=MOST_HEALTH)
    health: int = Field(default=1, ge=1, le=MOST_HEALTH)
    motion: Motion = "still"
    speed: float = Field(default=0.5, ge=0, le=1)
    colour: Colour = "grey"


class Region(Part):
    """A rectangle of cells; what lies beyond the map is cut off."""

    row: int = Field(ge=0, le=_MOST.side - 1)
    column: int = Field(ge=0, le=_MOST.side - 1)
    height: int = Field(default=1, ge=1, le=_MOST.side)
    width: int = Field(default=1, ge=1, le=_MOST.side)


class Stock(Part):
    """What the agent starts with of one thing."""

    item: Name
    count: Number = spanning(0, MOST_HELD)


class Agent(Part):
    """Where and how it starts. None for the region is the whole map.

    Attributes:
        body: a ``walker`` walks in four directions, sees what is around it and has an inventory; a ``carrier`` turns and walks ahead,
            sees the square before it, carries one thing and puts it down, and its rules are done one after the other (`carrier`).
    """

    body: Body = "walker"

    region: Region | None = None
    health: Number = spanning(1, MOST_HEALTH, default=MOST_HEALTH)
    inventory: tuple[Stock, ...] = Field(default=(), max_length=_MOST.types)


class Amount(Part):
    """So many of one thing."""

    item: Name
    count: Whole = counting(0, MOST_HELD)


class Change(Part):
    """So many more, or fewer, of one thing in the inventory."""

    item: Name
    count: Whole = counting(-MOST_HELD, MOST_HELD)


class Rule(Part):
    """When something happens, and if all that is required holds, something comes of it. All rules of a step read what was before it.
    Its numbers may be ranges, of which a reset draws one number each for the whole episode.

    Attributes:
        when: ``step``, the agent enters a cell of type ``of``; ``interact``, it does so with one; ``pick_up``, it picks one up;
            ``adjacent``, one lies beside the agent or a cell of type ``by``; ``held``, the agent has one; ``timer``, every so many
            steps; ``on``, one lies, or the agent stands, on ground of type ``by``.
        of: the type that it happens to. None for a timer, or for the agent itself, which is on something.
        by: what ``of`` lies beside, a type, or None for the agent; the ground that it lies on.
        every: of a timer, how many steps.
        needs: what the agent must have, at least.
        at_most: what it must not have more of.
        near: a type that lies within one cell of the agent, diagonals included; None for none.
        becomes: what every cell that it happened to becomes; None leaves it. ``floor`` removes, and the ground below is there again; of
            ``on`` the ground goes, too.
        spawns: what comes to be on one cell of floor; None for nothing.
        where: ``beside`` what it happened to (or the agent), or ``anywhere``.
        most: it spawns only while there are fewer on the map.
        changes: of the inventory.
        health: of the agent's, won or lost.
        chance: that it comes to pass; drawn once a step for all cells.
        after: of a carrier, what it has tried in the step; any of these, or anything where there is none.
        towards: of a carrier, where ``of`` lies from it, or of ``meets`` where ``by`` lies from ``of``; None is any side.

    Of a carrier ``meets`` says that ``of`` and ``by`` lie side by side, one of them in the cell that it faces: the other becomes
    ``becomes``, and the faced cell floor. What is ``held`` becomes another thing, and ``by`` of ``interact`` is what it carries.
    """

    when: When
    of: Name | None = None
    by: Name | None = None
    every: Whole = counting(1, MOST_STEPS, 1)
    needs: tuple[Amount, ...] = Field(default=(), max_length=_MOST.types)
    at_most: tuple[Amount, ...] = Field(default=(), max_length=_MOST.types)
    near: Name | None = None
    becomes: Name | None = None
    spawns: Name | None = None
    where: Literal["beside", "anywhere"] = "beside"
    most: Whole | None = counting(1, 64, None)
    changes: tuple[Change, ...] = Field(default=(), max_length=_MOST.types)
    health: Whole = counting(-MOST_HEALTH, MOST_HEALTH, 0)
    chance: Number = spanning(0, 1, default=1.0, whole=False)
    after: tuple[Deed, ...] = Field(default=(), max_length=6)
    towards: Side | None = None


class Predicate(Part):
    """Something that holds after a step or does not; a skill is one that has held. Its number may be a range, as in rules.

    Attributes:
        kind: ``count`` of cells of type ``of``, ``holds`` so many of it, ``health`` and ``survived`` steps compare a number;
            ``near``: a cell of type ``of`` within ``number`` steps of the agent; ``beside``: one lies beside one of type ``by``;
            ``at``: the agent is in the region; ``achieved``: the predicate ``of`` has held in this episode, before or now; ``with`` and
            ``without`` compare the number of cells that hold ``of``, on top or as ground, and hold ``by`` as well, or do not.
        of: a type; of ``achieved`` a predicate.
        by: a type; of ``with`` and ``without`` None is the agent.
        compare: how.
        number: with what.
        region: where.
        after, towards: of a carrier, as of a `Rule`. Its ``near`` is the cell it stands on, of ``beside`` it is ``by`` itself, ``at`` may
            ask for ``of`` in one cell, and ``meets`` is as in rules.
    """

    name: Name
    kind: Kind
    of: Name | None = None
    by: Name | None = None
    compare: Compare = ">="
    number: Whole = counting(0, MOST_STEPS, 1)
    region: Region | None = None
    after: tuple[Deed, ...] = Field(default=(), max_length=6)
    towards: Side | None = None


class Clause(Part):
    """Holds where all of the first do, and none of the second."""

    all: tuple[Name, ...] = Field(default=(), max_length=_MOST.predicates)
    none: tuple[Name, ...] = Field(default=(), max_length=_MOST.predicates)


class Weight(Part):
    """What a predicate pays: the first time that it comes true in an episode, each time, and for progress towards it (taken back
    where it is lost). What holds at the start pays nothing for it.
    """

    predicate: Name
    first: float = Field(default=0.0, ge=-100, le=100)
    each: float = Field(default=0.0, ge=-100, le=100)
    potential: float = Field(default=0.0, ge=-100, le=100)


class Reward(Part):
    """What is paid, apart from what counts as success; at most ``clip`` a step, either way. Of a carrier's
    ``success`` the share ``fade`` is lost, evenly, by the time limit.
    """

    weights: tuple[Weight, ...] = Field(default=(), max_length=_MOST.predicates)
    step: float = Field(default=0.0, ge=-10, le=10)
    success: float = Field(default=1.0, ge=-100, le=100)
    clip: float = Field(default=100.0, ge=0.01, le=1_000)
    fade: float = Field(default=0.0, ge=0, le=1)


class GridSpec(Part):
    """One environment.

    Attributes:
        version: of the language.
        name, purpose, parent: what is told of it; no part of its identity.
        targets: predicates that it is meant to teach; told only.
        size: the preset of caps.
        height, width: of the map.
        difficulty: of ranges: numbers are drawn from the low end up to this share of the way to the high one.
        types: beside ``void`` and ``floor``, which every spec has.
        terrain: done one after the other, on a map of floor.
        success: holds where one of the clauses does, the agent is alive and no clause of failure holds.
        failure: ends an episode.
        ends_on_success: whether success ends it too.
        time_limit: in steps.
    """

    version: int = Field(default=VERSION, ge=1, le=VERSION)
    name: str = Field(default="", max_length=60)
    purpose: str = Field(default="", max_length=400)
    parent: str = Field(default="", max_length=64)
    targets: tuple[Name, ...] = Field(default=(), max_length=_MOST.predicates)
    size: Literal["small", "medium", "large"] = "small"
    height: int = Field(ge=3, le=_MOST.side)
    width: int = Field(ge=3, le=_MOST.side)
    difficulty: float = Field(default=1.0, ge=0, le=1)
    types: tuple[Type, ...] = Field(max_length=_MOST.types - 2)
    terrain: tuple[Step, ...] = Field(max_length=_MOST.instructions)
    agent: Agent = Agent()
    rules: tuple[Rule, ...] = Field(default=(), max_length=_MOST.rules)
    predicates: tuple[Predicate, ...] = Field(max_length=_MOST.predicates)
    success: tuple[Clause, ...] = Field(max_length=_MOST.clauses)
    failure: tuple[Clause, ...] = Field(default=(), max_length=_MOST.clauses)
    reward: Reward = Reward()
    ends_on_success: bool = True
    time_limit: int = Field(ge=1, le=MOST_STEPS)
