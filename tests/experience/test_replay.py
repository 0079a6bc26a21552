"""The buffer of sequences against a list of all that ever happened."""

from __future__ import annotations

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled import program

from jaxrl_envs.contract import Stack
from jaxrl_evolve import PolicyOutput, Trajectory
from jaxrl_evolve.experience import replay as replays
from jaxrl_evolve.experience.layout import Layout, check_batch
from jaxrl_evolve.experience.replay import observation

T, N = 4, 2

init_replay = jax.jit(replays.init_replay, static_argnums=(0, 2))
add = jax.jit(replays.add, static_argnums=0)
draw = program(replays.draw, "layout", "batch")
starts, read = program(replays.starts, "layout"), program(replays.read, "layout")


class Life:
    """Environments that count their frames, end at random, and stack."""

    def __init__(self, stack: Stack, ends: float, seed: int = 0) -> None:
        self.stack, self.ends, self.random = stack, ends, np.random.default_rng(seed)
        self.clock = 0
        self.stacks = [self.begin() for _ in range(N)]
        self.past: list[list[tuple[Any, ...]]] = [[] for _ in range(N)]

    def frame(self) -> np.ndarray:
        self.clock += 1
        return np.array([self.clock % 251, self.clock // 251], np.uint8)

    def begin(self) -> np.ndarray:
        frame = self.frame()
        old = frame if self.stack.start == "repeat" else np.zeros_like(frame)
        return np.concatenate([old] * (self.stack.frames - 1) + [frame])

    def step(self, slot: int) -> tuple[Any, ...]:
        obs, action = self.stacks[slot], self.random.integers(5)
        after = np.concatenate([obs[2:], self.frame()])
        terminated, truncated = self.random.random(2) < self.ends
        self.stacks[slot] = self.begin() if terminated or truncated else after
        made = (obs, action, self.random.normal(), terminated, truncated, after)
        self.past[slot].append(made)
        return made

    def rollout(self) -> Trajectory:
        steps = [[self.step(slot) for slot in range(N)] for _ in range(T)]
        obs, action, reward, terminated, truncated, after = (
            np.array([[step[i] for step in row] for row in steps]) for i in range(6)
        )
        return jax.device_put(
            Trajectory(
                obs,
                action.astype(np.int32),
                reward.astype(np.float32),
                terminated,
                truncated,
                np.zeros((T, N), bool),
                after,
                PolicyOutput(np.zeros((T, N), np.float32)),
            )
        )


def compare(life: Life, layout: Layout, window: Any, seen: Any, i: int, start: int, slot: int) -> None:
    """A window against what happened: up to the first end, and the successor that a time limit cut off."""
    now = len(life.past[slot])
    assert window.known[i]
    for k in range(layout.ahead + 1):
        if k:
            *_, terminated, truncated, after = life.past[slot][start + k - 1]
            assert window.terminated[i, k - 1] == terminated
            assert window.ended[i, k - 1] == (terminated or truncated)
            if truncated and not terminated:
                np.testing.assert_array_equal(seen[k, i], after)
            if terminated or truncated:
                return
        if k < layout.ahead or start + k < now:
            np.testing.assert_array_equal(seen[k, i], life.past[slot][start + k][0])
        if k < layout.ahead:
            assert (np.cumsum(window.ended[i]) - window.ended[i])[k] == 0
            assert window.action[i, k] == life.past[slot][start + k][1]
            assert window.reward[i, k] == np.float32(life.past[slot][start + k][2])


@pytest.mark.parametrize("stack", [Stack(), Stack(3), Stack(4, "zeros")])
@pytest.mark.parametrize("ahead", [1, 5])
@pytest.mark.parametrize("prioritised", [False, True])
def test_windows_are_what_happened(stack: Stack, ahead: int, prioritised: bool):
    layout, rows = Layout(ahead, stack, prioritised), 16
    life = Life(stack, 0.15)
    replay = init_replay(layout, life.rollout(), rows * N)
    life = Life(stack, 0.15)
    write = jax.jit(lambda replay, t: replays.add(layout, replay, t), donate_argnums=0)
    pick = program(lambda replay: replays.draw(layout, jax.random.key(3), replay, 400))

    @jax.jit
    def everywhere(replay: Any) -> Any:
        window = replays.read(layout, replay, jnp.arange(rows * N))
        return window, jnp.stack([observation(layout, window, k) for k in range(ahead + 1)])

    for i in range(1, 12):
        replay = write(replay, life.rollout())
        held = min(i * T, rows)
        expected = {
            (row % rows, slot)
            for row in range(i * T - held + layout.before, i * T - ahead)
            for slot in range(N)
        }
        assert int(starts(layout, replay)) == len(expected)
        if not expected:
            continue
        drawn = pick(replay)
        places = {divmod(int(p), N) for p in drawn.place}
        assert places == expected
        np.testing.assert_allclose(drawn.probability, 1 / len(expected), rtol=1e-5)
        window, seen = jax.device_get(everywhere(replay))
        for row, slot in expected:
            start = i * T - 1 - (i * T - 1 - row) % rows  # the newest step that lies in this row
            compare(life, layout, window, seen, row * N + slot, start, slot)


def test_a_successor_that_is_no_longer_held_is_told():
    layout, rows = Layout(1), 64
    life = Life(Stack(), 0.0)
    replay = init_replay(layout, life.rollout(), rows * N)
    for _ in range(16):
        t = life.rollout()
        replay = add(layout, replay, t.replace(truncated=np.ones((T, N), bool)))
    window = read(layout, replay, np.arange(rows * N))
    # Four successors of each slot are held, of the newest four steps.
    np.testing.assert_array_equal(window.known, np.arange(rows * N) >= (rows - 4) * N)


def test_it_refuses_what_no_window_fits_into():
    shapes = jax.eval_shape(lambda: Life(Stack(4), 0.0).rollout())
    with pytest.raises(
        ValueError, match="capacity is 16, which is 8 steps .* need at least 18, a capacity of 36"
    ):
        init_replay(Layout(10, Stack(4)), shapes, 16)
    with pytest.raises(ValueError, match=r"observations of \(8,\) are no stack of 3"):
        init_replay(Layout(1, Stack(3)), shapes, 100)


@pytest.mark.parametrize(
    ("capacity", "warm_up", "batch", "num_envs", "length", "message"),
    [
        # Windows of 10 steps after 3 frames begin at 20 - 13 = 7 of 20 rows.
        (20, 20, 7, 1, 1, ""),
        (
            20,
            20,
            8,
            1,
            1,
            "capacity is 20, in which 7 windows of 10 .* batch is 8, .* a capacity of at least 21",
        ),
        (40, 40, 14, 2, 1, ""),
        (40, 40, 15, 2, 1, "capacity is 40, in which 14 windows .* a capacity of at least 42"),
        (1_000, 7, 7, 1, 1, ""),
        (
            1_000,
            6,
            7,
            1,
            1,
            r"warm_up is 6, after which 6 steps are stored, fewer than batch \(7\); it must be at least 7",
        ),
        # Whole rollouts are stored, and one of them before anything is learned.
        (1_000, 6, 10, 2, 5, ""),
        (1_000, 0, 20, 1, 20, ""),
        (1_000, 0, 21, 1, 20, "warm_up is 0, after which 20 steps are stored"),
    ],
)
def test_a_batch_of_more_windows_than_begin_is_refused(
    capacity: int, warm_up: int, batch: int, num_envs: int, length: int, message: str
):
    check = lambda: check_batch(Layout(10, Stack(4)), capacity, warm_up, batch, num_envs, length)
    if message:
        with pytest.raises(ValueError, match=message):
            check()
    else:
        check()


def test_windows_that_begin_are_counted_as_they_are_drawn():
    """Of a full buffer, one more than there are is refused."""
    life, layout, rows = Life(Stack(4), 0.0), Layout(10, Stack(4)), 6 * T
    replay = init_replay(layout, life.rollout(), rows * N)
    for _ in range(7):
        replay = add(layout, replay, life.rollout())
    there = int(starts(layout, replay))
    check_batch(layout, rows * N, rows * N, there, N, T)
    with pytest.raises(ValueError, match=f"in which {there} windows"):
        check_batch(layout, rows * N, rows * N, there + 1, N, T)


def test_a_hundred_thousand_frames_of_atari_take_three_quarters_of_a_gigabyte():
    """Every frame once, with successors that a time limit cut off and all else."""
    of = lambda dtype, *shape: jax.ShapeDtypeStruct((1, 1, *shape), dtype)
    obs, number, flag = of("uint8", 84, 84, 4), of("float32"), of("bool")
    example = Trajectory(obs, of("int32"), number, flag, flag, flag, obs, PolicyOutput(number))
    store = jax.eval_shape(lambda: init_replay(Layout(10, Stack(4, "zeros"), True), example, 100_000))
    sizes = [x.size * x.dtype.itemsize for x in jax.tree.leaves(store)]
    assert max(sizes) == 100_000 * 84 * 84 and sum(sizes) <= 0.75e9


def test_where_nothing_has_a_priority_all_windows_are_equally_probable():
    layout, rows = Layout(1, Stack(), True), 8
    life = Life(Stack(), 0.1)
    replay = init_replay(layout, life.rollout(), rows * N)
    for _ in range(2):
        replay = add(layout, replay, life.rollout(), 0.0)
    assert not np.asarray(replay.priorities.sums).any()
    drawn = draw(layout, jax.random.key(0), replay, 400)
    many = int(starts(layout, replay))
    assert many == (rows - 1) * N
    assert set(drawn.place.tolist()) == set(range(many))
    np.testing.assert_allclose(drawn.probability, 1 / many, rtol=1e-6)


@pytest.mark.parametrize("prioritised", [False, True])
def test_a_loop_that_adds_and_draws_copies_no_storage(prioritised: bool):
    layout, rows = Layout(3, Stack(2), prioritised), 1_024
    example = Life(Stack(2), 0.1).rollout()

    def update(i: Any, carry: Any) -> Any:
        replay, total = carry
        replay = replays.add(layout, replay, example)
        window = replays.draw(layout, jax.random.fold_in(jax.random.key(0), i), replay, 4).window
        return replay, total + window.reward.sum() + observation(layout, window, 3).sum()

    def loop(replay: Any, count: Any) -> Any:
        return jax.lax.fori_loop(0, count, update, (replay, jnp.float32(0)))

    replay = init_replay(layout, example, rows * N)
    compiled = jax.jit(loop, donate_argnums=0).lower(replay, jnp.int32(3)).compile().as_text() or ""
    assert f"[{rows},{N},2]" in compiled
    assert not re.findall(rf"\[{rows},{N}[^\]]*\]\S* copy\(", compiled)


def test_what_is_kept_in_bytes_is_the_nearest_of_256_levels():
    """A step between levels is (3 - -1) / 255; what is outside the bounds goes to them; a stack still begins with zeros."""
    layout, low, high = Layout(1, Stack(2, "zeros"), levels=(-1.0, 3.0)), -1.0, 3.0
    frames = np.random.default_rng(0).uniform(low - 0.5, high + 0.5, (T, N, 3)).astype(np.float32)
    t = Life(Stack(2), 0.0).rollout()
    older = np.concatenate([np.zeros_like(frames[:1]), frames[:-1]])
    obs = np.concatenate([older, frames], -1)
    truncated = np.zeros((T, N), bool)
    truncated[1] = True
    t = jax.device_put(t.replace(obs=obs, next_obs=obs, truncated=truncated))
    replay = add(layout, init_replay(layout, t, 4 * T * N), t)
    assert replay.frame.dtype == jnp.uint8
    first = program(lambda window: observation(layout, window, 0))
    seen = first(read(layout, replay, np.arange(N, T * N))).reshape(T - 1, N, 6)
    seen = np.concatenate([np.zeros_like(seen[:1]), seen])
    for row in (1, 3):
        np.testing.assert_allclose(seen[row, :, 3:], frames[row].clip(low, high), atol=4 / 255 / 2 + 1e-6)
        np.testing.assert_allclose(seen[row, :, :3], frames[row - 1].clip(low, high), atol=4 / 255 / 2 + 1e-6)
    np.testing.assert_array_equal(seen[2, :, :3], 0.0)  # an episode began here
