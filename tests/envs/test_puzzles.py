"""Games of PuzzleScript as grid specs: all are one program, each goes as a simulator of its text does, and what cannot be told is one sentence."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import puzzle_oracle
import pytest
from test_specs_engine import BATCH, CAPS, GRID, keys, programs, stacked

from jaxrl_envs import make
from jaxrl_envs.specs import SpecError, feasibility, language
from jaxrl_envs.specs.puzzles.collection import MOVES, collection, of_number
from jaxrl_envs.specs.puzzles.translation import translate


def played(puzzles, plans, simulators=()):
    """Which of `BATCH` games are won by plans of moves; every state is compared with a simulator's."""
    reset, step, _ = programs()
    params = stacked([puzzle.spec for puzzle in puzzles])
    _, state = reset(keys(0), params)
    levels = [game.level for game in simulators]
    won, over = np.zeros(BATCH, bool), np.zeros(BATCH, bool)
    for t in range(max(map(len, plans))):
        moves = [plan[t] if t < len(plan) else "" for plan in plans]
        action = jnp.asarray([MOVES.index(move) + 1 if move else 0 for move in moves], jnp.int32)
        out = step(keys(t), state, action, params)
        state = out.state
        host = jax.device_get(
            (state.grid, state.ground, state.row, state.column, out.info["success"], out.terminated)
        )
        for i, game in enumerate(simulators):
            if not moves[i] or over[i]:
                continue
            levels[i] = game.step(levels[i], moves[i])
            if game.alive(levels[i]):
                assert objects_of(puzzles[i].spec, *(leaf[i] for leaf in host[:4])) == levels[i], puzzles[
                    i
                ].name
            assert bool(host[4][i]) == game.won(levels[i])
            assert bool(host[5][i]) == (game.won(levels[i]) or not game.alive(levels[i]))
            over[i] = host[5][i]
        won |= host[4]
    return won


def objects_of(spec, grid, ground, row, column):
    """A state as the simulator writes a level."""
    names = ["void", "floor", *(kind.name for kind in spec.types)]
    here = lambda r, c: {
        names[grid[r, c]],
        names[ground[r, c]],
        *(["player"] if (r, c) == (row, column) else []),
    }
    return tuple(
        tuple(frozenset(here(r, c) - {"floor"}) for c in range(spec.width)) for r in range(spec.height)
    )


@pytest.mark.core
def test_every_game_is_won_by_its_solution_and_not_by_other_moves_in_one_program():
    puzzles, rng = collection(), np.random.default_rng(0)
    assert len(puzzles) >= 50 and len({language("grid").identity(p.spec) for p in puzzles}) == len(puzzles)
    for first in range(0, len(puzzles), BATCH):
        some = [*puzzles[first : first + BATCH], *puzzles[:BATCH]][:BATCH]
        games = [puzzle_oracle.Game(puzzle.text) for puzzle in some]
        assert played(some, [p.wins for p in some], games).all()
        assert not played(some, [p.fails for p in some], games).any()
        assert all(not feasibility.infeasible(p.spec) for p in some)
        played(some, ["".join(rng.choice([*MOVES], 25)) for _ in some], games)
    reset, step, _ = programs()
    assert reset._cache_size() == step._cache_size() == 1


def test_the_environment_draws_games_and_each_is_an_arm():
    env = make("specs/puzzles", game="crates")
    names = [puzzle.name for puzzle in collection()]
    assert env.arms is not None and env.sample_params is not None and env.arms.names == tuple(names)
    mine = of_number(jax.random.key(0), jnp.asarray(names.index("crates")))
    same = jax.tree.map(lambda a, b: a.dtype == b.dtype and bool((a == b).all()), mine, env.params)
    assert all(jax.tree.leaves(same))
    some = jax.vmap(env.sample_params)(jax.random.split(jax.random.key(1), 64)).terrain.cells
    assert 20 < len({leaf.tobytes() for leaf in np.asarray(some)}) <= len(names)
    with pytest.raises(
        ValueError, match="game of specs/puzzles is 'crate'; it must be one of .*did you mean 'crates'"
    ):
        make("specs/puzzles", game="crate")


FAULTS = [
    ("[ > Player | Crate ] -> [ > Player | > Crate ]", "[ > Player | Crate ] -> [ < Player | Crate ]",
     "line 37 is '[ > Player | Crate ] -> [ < Player | Crate ]'; it must be a push, [ > Player | X ] -> [ > Player | > X ], or late and about one cell, "
     "as in late [ X Y ] -> [ Z ], or about two of which one changes, as in late [ X | Y ] -> [ Z | Y ]"),
    ("[ > Player | Crate ] -> [ > Player | > Crate ]", "late [ Crate Targt ] -> [ Crate ]",
     "line 37 is 'late [ Crate Targt ] -> [ Crate ]'; there is no object 'targt'; it must be one of background, wall, player, crate, target; did you mean target?"),
    ("[ > Player | Crate ] -> [ > Player | > Crate ]", "late [ Crate Target ] -> [ ]\nlate [ Player Target ] -> [ Target ]\nlate [ Crate | Wall ] -> [ | Wall ]",
     "line 39 is 'late [ Crate | Wall ] -> [ | Wall ]'"),
    ("[ > Player | Crate ] -> [ > Player | > Crate ]", "late [ Player Target ] -> [ Target ]\nlate [ Player Target ] -> [ Player ]",
     "line 38 is 'late [ Player Target ] -> [ Player ]'; it changes 'target' under the player, which is lost there by the rule of line 37; "
     "a late rule after that must not"),
    ("All Target on Crate", "All Target on Wall or Crate", "line 41 is 'All Target on Wall or Crate'; it must be No X, Some X, All X on Y, Some X on Y or No X on Y"),
    ("All Target on Crate", "All Wall on Crate", "line 41 is 'All Wall on Crate'; the two objects of a condition must be in different layers, the player's and the ground's"),
    ("Player, Wall, Crate", "Player, Wall", "line 33 is 'Player, Wall'; every object must be in one layer, and 'crate' is in 0"),
    ("@ = Player", "@ = Playr", "line 25 is '@ = Playr'; there is no object 'playr'; it must be one of background, wall, player, crate, target, _, #; did you mean player?"),
    ("RULES", "RULE", "the spec: it has no section RULES; it must have objects, legend, sounds, collisionlayers, rules, winconditions, levels"),
    ("title Crates", "realtime_interval 1", "line 1 is 'realtime_interval 1'; before the sections there may be title, author, homepage, background_color, text_color, noaction, noundo, norestart"),
    ("Target\ngreen", "Target\ngreen\n0000", "line 18 is 'Target'; an object must have a line of colours, and may have five lines of five letters, each . or a digit"),
]  # fmt: skip


def test_what_cannot_be_told_is_one_sentence_with_its_line():
    text = next(puzzle.text for puzzle in collection() if puzzle.name == "crates")
    assert translate(text.upper().replace("TITLE", "title"))[0].rules == ()
    for old, new, sentence in FAULTS:
        assert old in text
        with pytest.raises(SpecError) as error:
            translate(text.replace(old, new))
        assert str(error.value).startswith(sentence), str(error.value)
        assert len(error.value.faults) == 1
    for level, sentence in (
        ("##\n##", "a level must have from 3 to 21 rows and columns, and this has 2 and 2"),
        ("#####\n#_$.#\n#####", "a level must have one player, and this has 0"),
        ("#####\n#@$?#\n#####", "'?' stands for nothing; it must be one of # $ . @ _"),
        ("#####\n#@$.#\n####", "it must have 5 letters, as the first row of the level has"),
    ):
        with pytest.raises(SpecError) as error:
            translate(text[: text.index("LEVELS")] + f"LEVELS\n\n{level}\n")
        assert sentence in str(error.value), str(error.value)
    assert CAPS.side == 9


ICE = """title Ice

OBJECTS

Background
black

Wall
grey

Player
blue

Crate
brown

Ice
cyan

Hole
red

LEGEND
. = Background
# = Wall
@ = Player
$ = Crate
_ = Ice

COLLISIONLAYERS
Background
Ice, Hole
Player, Wall, Crate

RULES
[ > Player | Crate ] -> [ > Player | > Crate ]
RULE

WINCONDITIONS
Some Crate on Hole

LEVELS

message hello
######
#@_$_#
######
Message [ between ] the levels
######
#@...#
#....#
######

message the end
"""


def test_what_comes_after_the_player_is_lost_cannot_change_that():
    lost = "late [ Player Hole ] -> [ Hole ]"
    deadly = ICE.replace("RULE\n", f"{lost}\nlate [ Player Ice ] -> [ Player Hole ]\n")
    game = puzzle_oracle.Game(deadly[: deadly.index("message")] + "######\n#@_$_#\n######")
    assert game.alive(game.step(game.level, "r"))  # in PuzzleScript it is lost on what was a hole before
    with pytest.raises(
        SpecError, match="it changes 'hole' under the player, which is lost there by the rule"
    ):
        translate(deadly)
    # Where a crate is the player is not.
    safe = ICE.replace("RULE\n", f"{lost}\nlate [ Crate Ice ] -> [ Hole ]\n")
    game = puzzle_oracle.Game(safe[: safe.index("message")] + "######\n#@_$_#\n######")
    puzzle = SimpleNamespace(spec=translate(safe)[0], name="ice")
    played([puzzle] * BATCH, ["rrr"] * BATCH, [game])


def crates(level, objects=(), legend=""):
    """A game of crates with more objects, whose letters are those of `LETTERS`."""
    names = [f"thing{i}" for i in range(len(objects))]
    text = ICE.replace("Hole\nred\n", "Hole\nred\n" + "".join(f"\n{name}\nred\n" for name in names))
    text = text.replace("Wall, Crate\n", f"{', '.join(['Wall', 'Crate', *names])}\n").replace("RULE\n", "")
    signs = "".join(f"{sign} = {name}\n" for sign, name in zip(objects, names, strict=True))
    text = text.replace("_ = Ice\n", f"_ = Ice\n{signs}{legend}")
    return text[: text.index("LEVELS")] + f"=======\nLEVELS\n{level}"


LETTERS = "abcdefghijklmnoqrstuv"
ROOM = "######\n#@$..#\n######\n"


def test_a_level_has_the_smallest_size_that_its_game_fits():
    types = [(more, translate(crates(ROOM, LETTERS[:more]))[0].size) for more in (0, 10, 11, 18)]
    assert types == [
        (0, "small"),
        (10, "small"),
        (11, "large"),
        (18, "large"),
    ]  # beside four others, of 14 and 22
    with pytest.raises(SpecError) as error:
        translate(crates(ROOM, LETTERS[:19]))
    assert str(error.value) == (
        "line 3 is 'OBJECTS'; there may be at most 22 objects beside background and player, and there are 23"
    )
    drawn = crates(
        "#######\n#@abcd#\n#efghi#\n#j$_..#\n#######\n", LETTERS[:10]
    )  # of 13 kinds, one more than small has
    assert [translate(text)[0].size for text in (drawn, drawn.replace("#j", "#."))] == ["medium", "small"]


def test_bars_frame_headings_and_are_rows_of_a_level_where_the_legend_has_them():
    bare, named = translate(crates(ROOM))[0], "= = Wall\n"
    for frame in ("=", "===", "=" * 6, "=" * 7, "=" * 30):
        for level in (
            f"{frame}\n{ROOM}",
            f"{frame}\n\n{ROOM}",
            f"{frame}\n\n{ROOM}{frame}\n",
            f"{ROOM}\n{frame}\n{ROOM}",
        ):
            assert {GRID.identity(spec) for spec in translate(crates(level))} == {GRID.identity(bare)}
        assert translate(crates(f"{frame}\n\n{ROOM}", legend=named))[0] == bare
    wide = f"{'#' * 12}\n#@$.......{'#' * 2}\n{'#' * 12}\n{'#' * 12}\n"
    same = translate(crates(wide.replace("#", "="), legend=named))[0]
    assert same.height == 4 and GRID.identity(same) == GRID.identity(translate(crates(wide))[0])
    with pytest.raises(SpecError, match="a level must have from 3 to 21 rows and columns, and this has 1"):
        translate(crates("######\n======\n#@$..#\n######\n"))
    with pytest.raises(SpecError, match="^line [0-9]+ is 'LEVELS'; there must be a level"):
        translate(crates("=======\n"))


def test_numbers_of_programs_are_numbers():
    text = crates(ROOM)
    assert translate(text, np.int64(70)) == translate(text, 70)
    with pytest.raises(SpecError, match="^time_limit is '70'; it must be a whole number$"):
        translate(text, "70")


def test_messages_part_levels_and_are_none():
    levels = translate(ICE.replace("RULE\n", ""))
    assert [(spec.name, spec.height, spec.width) for spec in levels] == [("Ice 1", 3, 6), ("Ice 2", 4, 6)]
    with pytest.raises(SpecError, match="there must be a level"):
        translate(ICE[: ICE.index("message")].replace("RULE\n", "") + "message alone\n")
