"""The learner of action values with its components: an update against NumPy, resets, replay ratios, what it learns and predicts."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import walk
from same import assert_equal

from jaxrl_envs import Box, Discrete, Env, EnvStep, make
from jaxrl_envs.vector import vectorize
from jaxrl_envs.wrappers import frame_stack
from jaxrl_evolve import PolicyOutput, RunAxis, Trajectory, make_chunk, over_runs, random
from jaxrl_evolve.algorithms.rainbow import VARIANTS, rainbow_preset
from jaxrl_evolve.experience.n_step import n_step
from jaxrl_evolve.experience.priorities import set_rows
from jaxrl_evolve.experience.replay import draw, observation, starts
from jaxrl_evolve.learners.rainbow import rainbow
from jaxrl_evolve.learners.rainbow_config import RainbowConfig, RainbowHyperparameters
from jaxrl_evolve.learners.rainbow_loss import (
    Parts,
    _changed,
    dormant,
    horizon_of_returns,
    loss_of,
    targets_of,
)
from jaxrl_evolve.learners.rainbow_step import RainbowState, Scheduled, _gradient_step, _reset, gradient_steps
from jaxrl_evolve.learners.replay_ratio import adapted, init_adaptation
from jaxrl_evolve.networks.action_values import ActionValues
from jaxrl_evolve.networks.action_values_config import ActionValuesConfig
from jaxrl_evolve.training.experiment import traced
from jaxrl_evolve.training.train import train

SIDE, LIMIT, GAMMA = 4, 10, 0.8
MOVES = np.array([[-1, 0], [1, 0], [0, -1], [0, 1]])


def shown(place: Any) -> Any:
    """A board with one cell lit."""
    return jnp.zeros((SIDE, SIDE, 1), jnp.uint8).at[place[0], place[1], 0].set(1)


def board(dtype: str = "uint8") -> Env:
    """A cell walks on a board from anywhere to the corner, where it ends with reward 1; after ten steps it is stopped."""

    def reset(key: Any, params: Any) -> tuple[Any, Any]:
        del params
        start = jax.random.randint(key, (), 1, SIDE * SIDE, jnp.int32)
        place = jnp.stack([start // SIDE, start % SIDE])
        return shown(place).astype(dtype), (place, jnp.zeros((), jnp.int32))

    def step(key: Any, state: Any, action: Any, params: Any) -> EnvStep:
        del key, params
        place = jnp.clip(state[0] + jnp.asarray(MOVES)[action], 0, SIDE - 1)
        over, time = (place == 0).all(), state[1] + 1
        return EnvStep(
            shown(place).astype(dtype),
            (place, time),
            over.astype(jnp.float32),
            over,
            ~over & (time >= LIMIT),
            {},
        )

    space = Box(0.0, 1.0, (SIDE, SIDE, 1), dtype)
    return Env("board", reset, step, (), space, Discrete(4))


SMALL = ActionValuesConfig(
    encoder="minatar", hidden=(32,), layout="faithful", renormalise=True, dueling=True, noisy=True
)
SPR = RainbowConfig(
    capacity=512,
    batch=16,
    gradient_steps=2,
    warm_up=64,
    longest=3,
    atoms=11,
    low=0.0,
    high=1.0,
    prioritised=True,
    target_period=1,
    predicted=2,
    network=SMALL,
)
HP = RainbowHyperparameters(
    learning_rate=3e-3, gamma=GAMMA, steps=3.0, epsilon_end=0.1, exploration=0.3, importance_start=0.4
)


PLAIN = RainbowConfig(
    capacity=512, batch=16, gradient_steps=1, warm_up=64, network=ActionValuesConfig(hidden=(8,))
)


def parts_of(config: RainbowConfig, env: Env | None = None) -> Parts:
    """What the functions of a learner read."""
    update: Any = rainbow(board() if env is None else env, 4, 4, config, HP).update
    assert isinstance(update, partial)
    return update.args[0]


def run(config: RainbowConfig, updates: int, hp: Any = HP, env: Env | None = None, seed: int = 0) -> Any:
    """State and metrics of a run of 4 environments x 4 steps an update."""
    env = board() if env is None else env
    chunk = make_chunk(rainbow(env, 4, 4, config, hp), vectorize(env, 4), 4)
    state = jax.jit(chunk.init)(random.key(seed), traced(hp), env.params)
    length = jnp.float32(updates), jnp.int32(updates)
    return jax.jit(chunk.run, donate_argnums=0)(state, traced(hp), (), env.params, *length)


@pytest.fixture(scope="module")
def trained() -> Any:
    """SPR on the board."""
    return run(replace(SPR, gradient_steps=4, capacity=8_192), 650)


@pytest.mark.core
def test_it_learns_the_value_of_every_cell_and_what_comes_next(trained: Any):
    state, metrics = trained
    assert int(state.diverged) == -1
    parts, params = parts_of(SPR), state.learner.params
    cells = np.array([(i, j) for i in range(SIDE) for j in range(SIDE)][1:])
    seen = jnp.asarray(np.stack([shown(cell) for cell in cells]), jnp.float32)

    @jax.jit
    def looked(params: Any) -> Any:
        features = parts.call(ActionValues.encode, params, seen)
        values = parts.mean(parts.call(ActionValues.values, params, features, False)[0])
        ahead = jnp.stack(
            [
                parts.call(ActionValues.ahead, params, features, jnp.full(len(cells), action))
                for action in range(4)
            ]
        )
        predicted = jax.vmap(lambda x: parts.call(ActionValues.predict, params, x))(ahead)
        return values, parts.call(ActionValues.project, params, features), predicted

    values, projected, predicted = jax.device_get(looked(params))
    # The corner is as many moves away as rows and columns; the last of them earns the reward.
    np.testing.assert_allclose(values.max(-1), GAMMA ** (cells.sum(1) - 1), atol=0.12)
    chosen = cells + MOVES[np.asarray(values.argmax(-1))]
    assert (chosen.clip(0).sum(1) == cells.sum(1) - 1).all()
    # One step ahead, the projection that is predicted is nearest to that of the cell which comes.
    right = 0
    for action, found in enumerate(predicted):
        came = (cells + MOVES[action]).clip(0, SIDE - 1)
        unit = lambda x: x / np.linalg.norm(x, axis=-1, keepdims=True)
        nearest = cells[(unit(found) @ unit(projected).T).argmax(1)]
        lives = came.sum(1) > 0
        right += (nearest == came).all(1)[lives].mean() / 4
    assert right > 0.9
    assert float(metrics["prediction_loss"]) < 0.5


def numpy_loss(parts: Parts, params: Any, window: Any, target: Any, weight: Any, share: float = 1.0) -> float:
    """Of SPR with two streams, without noise and changes of images, in float64, from the definitions; of the error of the returns a share."""
    config = parts.config
    p = jax.tree.map(np.float64, params["params"])

    def convolved(x: Any, layer: Any, pad: int) -> Any:
        kernel, bias = layer["kernel"], layer["bias"]
        x = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
        high, wide = x.shape[1] - 2, x.shape[2] - 2
        out = np.zeros((x.shape[0], high, wide, kernel.shape[-1])) + bias
        for i in range(3):
            for j in range(3):
                out += x[:, i : i + high, j : j + wide] @ kernel[i, j]
        return np.maximum(out, 0)

    def whole(x: Any) -> Any:
        low, high = x.min((1, 2, 3), keepdims=True), x.max((1, 2, 3), keepdims=True)
        return (x - low) / (high - low + 1e-5)

    encode = lambda x: whole(convolved(x, p["encoder"]["Conv_0"], 0))
    dense = lambda x, name: x @ p[name]["kernel"] + p[name]["bias"]
    project = lambda x: np.concatenate(
        [dense(x.reshape(len(x), -1), name) for name in ("value_hidden", "advantage_hidden")], 1
    )

    def ahead(x: Any, action: Any) -> Any:
        planes = np.eye(4)[action][:, None, None, :] * np.ones((*x.shape[:3], 1))
        t = p["transition"]
        x = convolved(np.concatenate([x, planes], -1), t["Conv_0"], 1)
        norm = t["_BatchNorm_0"]
        x = (x - x.mean((0, 1, 2))) / np.sqrt(x.var((0, 1, 2)) + 1e-5) * norm["scale"] + norm["bias"]
        return whole(convolved(x, t["Conv_1"], 1))

    x = encode(np.float64(target.images))
    flat = x.reshape(len(x), -1)
    value = dense(np.maximum(dense(flat, "value_hidden"), 0), "value")[:, None]
    advantage = dense(np.maximum(dense(flat, "advantage_hidden"), 0), "advantage").reshape(len(x), 4, -1)
    logits = value + advantage - advantage.mean(1, keepdims=True)
    logits = logits[np.arange(len(x)), window.action[:, 0]]
    logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    total = -share * (np.float64(target.returns) * logs).sum(-1)
    unit = lambda x: x / np.linalg.norm(x, axis=-1, keepdims=True)
    for k in range(config.predicted):
        x = ahead(x, window.action[:, k])
        distance = (
            (unit(dense(project(x), "predictor")) - unit(np.float64(target.projections[k]))) ** 2
        ).sum(-1)
        total = total + 5.0 / config.predicted * np.where(target.belongs[k], distance, 0.0)
    return float((weight * total).mean())


@pytest.mark.core
def test_the_first_step_of_spr_is_that_of_numpy():
    """Targets by their definitions, and the loss's gradient, leaf by leaf, by central differences of a NumPy loss."""
    config = replace(SPR, network=replace(SMALL, noisy=False), gradient_steps=1, warm_up=0)
    # Adam's first step is lr g / (|g| + eps): with eps of one it tells the gradient.
    hp = replace(HP, learning_rate=1e-2, adam_eps=1.0, max_grad_norm=float("inf"))
    env = board()
    chunk = make_chunk(rainbow(env, 4, 4, config, hp), vectorize(env, 4), 4)
    state = jax.jit(chunk.init)(random.key(0), traced(hp), env.params)
    go = jax.jit(lambda state: chunk.run(state, traced(hp), (), env.params, jnp.float32(100), jnp.int32(1)))
    before = go(go(state)[0])[0]
    before = replace(before, learner=replace(state.learner, epsilon=before.learner.epsilon))
    after, metrics = go(before)
    parts, learned = parts_of(config), before.learner
    held = chunk_added(chunk, before, env, hp)

    @jax.jit
    def looked(key: Any, params: Any, held: Any) -> Any:
        key = jax.random.fold_in(jax.random.split(key, 4)[3], 0)
        key_draw, key_targets, *_ = jax.random.split(key, 4)
        drawn = draw(parts.layout, key_draw, held, config.batch)
        step = n_step(drawn.window, 3, GAMMA)
        target = targets_of(parts, key_targets, params, params, drawn.window, step)
        after = observation(parts.layout, drawn.window, step.offset).astype(jnp.float32)

        def valued(images: Any) -> Any:
            features = parts.call(ActionValues.encode, params, images)
            return parts.call(ActionValues.values, params, features, False)[0]

        return drawn, step, target, valued(after), valued(target.images), starts(parts.layout, held)

    drawn, step, target, logits, taken, many = jax.device_get(looked(before.key, learned.params, held))
    window = drawn.window

    # What a target is: rewards of three steps, or up to an end, and the best of the successor, spread over the atoms.
    atoms = np.linspace(0.0, 1.0, 11)
    chance = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    for i in range(config.batch):
        best = chance[i, (chance[i] @ atoms).argmax()]
        expected = np.zeros(11)
        for mass, atom in zip(best, atoms, strict=True):
            place = np.clip(float(step.reward[i]) + float(step.discount[i]) * atom, 0.0, 1.0) * 10
            low, high = int(np.floor(place)), int(np.ceil(place))
            expected[low] += mass * (1.0 if low == high else high - place)
            expected[high] += 0.0 if low == high else mass * (place - low)
        np.testing.assert_allclose(target.returns[i], expected, atol=1e-5)

    # Predictions count as long as nothing has ended before; here something has, for some.
    ended = np.asarray(window.ended)
    belongs = np.array(
        [[not ended[i, : k + 1].any() for i in range(config.batch)] for k in range(config.predicted)]
    )
    np.testing.assert_array_equal(target.belongs, belongs)
    assert not belongs.all()

    # What was drawn has the divergence of its distributions as priority, and nothing else has another than before.
    taken = np.float64(taken)[np.arange(config.batch), np.asarray(window.action)[:, 0]]
    wanted = np.float64(target.returns)
    logs = taken - np.log(np.exp(taken).sum(-1, keepdims=True))
    divergence = (wanted * (np.log(np.where(wanted > 0, wanted, 1.0)) - logs)).sum(-1)
    flat_of = lambda store: np.array(store.priorities.leaves).reshape(-1)
    expected = flat_of(held)
    expected[np.asarray(drawn.place)] = np.sqrt(np.clip(divergence, 1e-6, 1e6))
    np.testing.assert_allclose(flat_of(after.store), expected, rtol=1e-3)

    share = (3 * 16) / (100 * 16)
    weight = (np.asarray(drawn.probability) * float(many)) ** -(0.4 + share * 0.6)
    weight = np.where(np.asarray(step.known), weight, 0.0)
    weight = weight / weight.max()
    loss = partial(numpy_loss, parts, window=window, target=target, weight=weight)
    np.testing.assert_allclose(metrics["loss"], loss(jax.device_get(learned.params)), rtol=1e-4)
    pick = np.random.default_rng(0)
    named, tree = jax.tree_util.tree_flatten_with_path(jax.device_get(learned.params))
    flat = [x for _, x in named]
    moved = jax.tree.leaves(jax.device_get(after.learner.params))
    for leaf, (name, _) in enumerate(named):
        if name[1].key == "encoder" and name[-1].key == "bias":
            continue  # at zero, with cells that are not lit, units lie on the kink of their nonlinearity
        # At the encoder the two streams of the head pull by a root of a half.
        share = math.sqrt(0.5) if name[1].key == "encoder" else 1.0
        for _ in range(3):
            place = tuple(pick.integers(size) for size in flat[leaf].shape)
            losses = []
            for sign in (1, -1):
                other = [np.float64(x) for x in flat]
                other[leaf] = other[leaf].copy()
                other[leaf][place] += sign * 1e-5
                losses.append(loss(jax.tree.unflatten(tree, other), share=share))
            gradient = (losses[0] - losses[1]) / 2e-5
            expected = -1e-2 * gradient / (abs(gradient) + 1.0)
            np.testing.assert_allclose(moved[leaf][place] - flat[leaf][place], expected, atol=3e-6)


def test_windows_whose_successor_is_gone_count_nowhere():
    """The loss and every mean are those of the others alone, and their priorities stay."""
    config = replace(PLAIN, longest=3)
    parts, (state, _) = parts_of(config), run(config, 6)
    learned = state.learner
    weight = np.arange(8) < 5

    @jax.jit
    def both(learned: Any, store: Any) -> Any:
        window = draw(parts.layout, random.key(1), store, 8).window
        step = n_step(window, 1, 0.9)
        targets = targets_of(parts, random.key(2), learned.params, learned.target, window, step)
        broken = targets._replace(returns=targets.returns.at[5:].set(jnp.nan))
        go = lambda targets, window, weight: loss_of(
            parts, random.key(3), learned.params, window, targets, weight.astype(jnp.float32), jnp.float32(1)
        )
        few = lambda tree: jax.tree.map(lambda x: x[:5], tree)
        weights = jnp.asarray(weight)
        return go(broken, window, weights), go(few(targets), few(window), weights[:5])

    (loss, (surprise, metrics)), (expected, (_, own)) = both(learned, state.store)
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    for name in ("q_mean", "td_error", "value_loss"):
        np.testing.assert_allclose(metrics[name], own[name], rtol=1e-6)
    assert float(metrics["unknown"]) == 0.375 and float(own["unknown"]) == 0
    np.testing.assert_array_equal(np.isnan(surprise), ~weight)


def test_windows_whose_successor_is_gone_for_good_are_drawn_no_more():
    """Episodes of two steps that a time limit cuts, in a buffer that holds the newest few successors. With steps that go from three to one, only what
    one step goes beyond is lost; priorities of what three steps go beyond stay until it can be learned from.
    """
    config = replace(PLAIN, longest=3, prioritised=True, priority="loss")
    hp = replace(HP, steps=1.0, steps_start=3.0, anneal=1e6)
    parts, env = parts_of(config), board()
    learner = rainbow(env, 4, 4, config, hp)
    state = jax.jit(learner.init)(random.key(0), traced(hp))
    rows, envs = 32, 4
    example = jax.eval_shape(
        lambda: make_chunk(learner, vectorize(env, 4), 4).init(random.key(0), traced(hp), ())
    )
    store = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), example.store)
    cuts = jnp.arange(store.reward.shape[0]) % 2 == 1
    number = jnp.cumsum(cuts)
    store = replace(
        store,
        ending=jnp.where(cuts, number, 0)[:, None].repeat(envs, 1).astype(jnp.int32),
        cut=jnp.full(envs, number[-1], jnp.int32),
        filled=jnp.int32(store.reward.shape[0]),
        priorities=set_rows(store.priorities, jnp.arange(rows, dtype=jnp.int32), jnp.ones(rows)),
    )

    @jax.jit
    def step(key: Any, hp: Any) -> Any:
        now = Scheduled(*(jnp.float32(x) for x in (1e-3, 0.5, 100, 100)))
        drawn = draw(parts.layout, jax.random.split(key, 4)[0], store, config.batch)
        return drawn, _gradient_step(parts, state, key, store, hp, now)[1]

    many = 0
    for seed in range(4):
        for anneal in (0.0, 1e6):
            drawn, after = jax.device_get(step(random.key(seed), traced(replace(hp, anneal=anneal))))
            leaves = after.leaves.reshape(-1)
            for place, known in zip(drawn.place, drawn.window.known, strict=True):
                last = (place // envs) % 2 == 1  # of its episode
                if known:
                    assert leaves[place] not in (0.0, 1.0)
                elif last:
                    assert leaves[place] == 0.0
                    many += 1
                elif anneal:
                    assert leaves[place] == 1.0
                else:
                    assert leaves[place] not in (0.0, 1.0)  # one step does not reach the limit
            rest = np.delete(leaves[: rows * envs], drawn.place)
            assert (rest == 1.0).all()
    assert many > 10


def chunk_added(chunk: Any, before: Any, env: Env, hp: Any) -> Any:
    """The store with the next rollout in, before anything is learned from it."""
    config = replace(SPR, network=replace(SMALL, noisy=False), gradient_steps=1, warm_up=512)
    idle = make_chunk(rainbow(env, 4, 4, config, hp), vectorize(env, 4), 4)
    return jax.jit(idle.run)(before, traced(hp), (), env.params, jnp.float32(100), jnp.int32(1))[0].store


def test_a_reset_changes_what_it_should_and_nothing_else():
    config = replace(SPR, reset_every=10)
    parts = parts_of(config)
    state = jax.jit(rainbow(board(), 4, 4, config, HP).init)(random.key(0), traced(HP))
    ones = jax.tree.map(jnp.ones_like, state.optimiser)
    state = replace(state, optimiser=ones, steps=jnp.int32(30), since=jnp.int32(10))
    hp = traced(replace(HP, kept=0.75))
    go = jax.jit(partial(_reset, parts))
    assert_equal(go(random.key(1), state, hp, jnp.bool_(False)), state)
    found = go(random.key(1), state, hp, jnp.bool_(True))
    assert (int(found.steps), int(found.since)) == (30, 0)
    assert all((np.asarray(x) == 0).all() for x in jax.tree.leaves(found.optimiser))
    assert (found.epsilon, found.epsilon_evaluation) == (state.epsilon, state.epsilon_evaluation)
    key_params, key_target = jax.random.split(random.key(1))
    anew = jax.jit(parts.fresh)
    for old, new, key in ((state.params, found.params, key_params), (state.target, found.target, key_target)):
        old, new, fresh = jax.device_get((old, new, anew(key)["params"]))
        for name, tree in new["params"].items():
            kept = 0.75 if name in ("encoder", "transition") else 0.0
            close = lambda x, a, b, kept=kept: np.testing.assert_allclose(
                x, kept * a + (1 - kept) * b, atol=1e-6
            )
            jax.tree.map(close, tree, old["params"][name], fresh[name])
    assert not np.allclose(
        found.params["params"]["predictor"]["kernel"], found.target["params"]["predictor"]["kernel"]
    )


def test_resets_come_in_time_and_the_last_one_leaves_room():
    config, hp = replace(PLAIN, reset_every=8), replace(HP, steps=1.0)
    steps, env = [], walk.make()
    chunk = make_chunk(rainbow(env, 4, 4, config, hp), vectorize(env, 4), 4)
    state = jax.jit(chunk.init)(random.key(0), traced(hp), env.params)
    go = jax.jit(lambda state: chunk.run(state, traced(hp), (), env.params, jnp.float32(30), jnp.int32(1)))
    for _ in range(30):
        state, metrics = go(state)
        steps.append(int(state.learner.since))
    # Steps begin with the fourth update; resets after 8 and 16 of them, not after 24: three updates are left then.
    assert steps == [0, 0, 0, *range(1, 8), *range(8), *range(12)]
    assert float(metrics["gradient_steps"]) == 1.0


def test_steps_and_discount_go_over_in_geometric_lines():
    hp = RainbowHyperparameters(gamma=0.997, gamma_start=0.97, steps=3.0, steps_start=10.0, anneal=100.0)
    at = lambda since, hp=hp: tuple(float(x) for x in horizon_of_returns(traced(hp), jnp.int32(since)))
    np.testing.assert_allclose(at(0), (10, 0.97), rtol=1e-6)
    np.testing.assert_allclose(at(50), (round(np.sqrt(30)), 1 - np.sqrt(0.03 * 0.003)), rtol=1e-6)
    for since in (100, 1_000):
        assert at(since) == (3.0, float(np.float32(0.997)))
    assert at(0, replace(hp, anneal=0.0)) == (3.0, float(np.float32(0.997)))
    assert at(0, replace(hp, anneal=0.0, gamma=1.0)) == (3.0, 1.0)


MANY_PARTS = {
    "changed images, resets, adaptive ratio": {
        "shift": 1,
        "intensity": 0.05,
        "reset_every": 4,
        "act_by_target": True,
        "gradient_steps_at_first": 1,
        "diagnostics": True,
        "legacy_bootstrap_offset": True,
        "new_priority": "highest",
        "priority": "loss",
    },
    "expected returns, jax-port": {
        "atoms": 1,
        "priority": "loss",
        "loss": "squared",
        "target_period": 3,
        "network": replace(SMALL, layout="jax-port", dropout=0.5),
    },
    "impala": {"network": replace(SMALL, encoder="impala", layout="jax-port", noisy=False), "double": False},
}


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param(changes, id=name, marks=pytest.mark.slow if i else ())
        for i, (name, changes) in enumerate(MANY_PARTS.items())
    ],
)
def test_seeds_side_by_side_are_the_seeds_alone(changes: Any):
    env = frame_stack(board("float32"), 2)  # whose brightness may be changed
    if changes.get("network", SMALL).encoder == "impala":
        env = big()
    config, runs = replace(SPR, capacity=160, **changes), 2
    chunk = make_chunk(rainbow(env, 4, 4, config, HP), vectorize(env, 4), 4)
    keys = jax.random.split(random.key(5), runs)
    # Not the default offset, by which a gradient that is rounding alone makes a whole step.
    hps = jax.tree.map(
        lambda x: jnp.stack([x, 0.5 * x]), traced(replace(HP, learning_rate=1e-3, adam_eps=0.1))
    )
    hps = hps.replace(steps=jnp.asarray([3.0, 2.0]), gamma=jnp.asarray([0.8, 0.9]))
    many = over_runs(chunk, [RunAxis("seed", runs, hp=True)])
    length = jnp.float32(14), jnp.int32(14)

    def go(chunk: Any, key: Any, hp: Any) -> Any:
        state = jax.jit(chunk.init)(key, hp, env.params)
        return jax.jit(chunk.run)(state, hp, (), env.params, *length)

    together, metrics = go(many, keys, hps)
    assert (np.asarray(together.diverged) == -1).all()
    for i in range(runs):
        alone, own = go(chunk, keys[i], jax.tree.map(lambda x, i=i: x[i], hps))
        # Steps and draws are the same; sums may be taken in another order.
        close = lambda a, b, i=i: np.testing.assert_allclose(a[i], b, rtol=2e-3, atol=2e-4)
        jax.tree.map(close, together.learner.params, alone.learner.params)
        jax.tree.map(close, together.store.reward, alone.store.reward)
        jax.tree.map(close, metrics, own)
        if "gradient_steps_at_first" in changes:
            assert float(own["gradient_steps"]) < config.gradient_steps


def big() -> Env:
    """The board on 8 x 8 pixels."""
    env = board()
    wide = lambda obs: jnp.repeat(jnp.repeat(obs, 2, 0), 2, 1)

    def reset(key: Any, params: Any) -> tuple[Any, Any]:
        obs, state = env.reset(key, params)
        return wide(obs), state

    def step(key: Any, state: Any, action: Any, params: Any) -> EnvStep:
        out = env.step(key, state, action, params)
        return out._replace(obs=wide(out.obs))

    return Env("big", reset, step, (), Box(0.0, 1.0, (8, 8, 1), "uint8"), Discrete(4))


def ends(count: int) -> Trajectory:
    """A step of so many environments that all end."""
    shape = (1, count)
    none, flag, zero = jnp.zeros(shape, bool), jnp.ones(shape, bool), jnp.zeros(shape)
    return Trajectory(zero, zero.astype(jnp.int32), zero, flag, none, none, zero, PolicyOutput(zero))


def test_the_replay_ratio_is_raised_once_activity_has_settled():
    seen = init_adaptation()
    t = ends(2)
    raised = []
    for share in (0.9, 0.5, 0.45, 0.1):  # far, far, near, and then whatever comes
        seen = adapted(seen, jnp.float32(3 * share), jnp.int32(3), t, 2.0, 0.1)
        np.testing.assert_allclose(seen.before, share, rtol=1e-6)
        assert float(seen.count) == float(seen.episodes) == 0.0
        raised.append(bool(seen.raised))
    assert raised == [False, False, True, True]
    few = ends(1)
    waiting = adapted(seen, jnp.float32(1.0), jnp.int32(3), few, 2.0, 0.1)
    assert (float(waiting.episodes), float(waiting.count)) == (1.0, 3.0)


def test_dormant_units_are_those_far_below_their_layer():
    units = jnp.asarray([[1.0, 0.0, 2.0, 0.01], [1.0, 0.0, 2.0, 0.02]])
    assert float(dormant(units)) == 0.5


def test_diagnostics_are_those_of_numpy():
    """Rank by the eigenvalues of the units' products, the share of greedy actions that one update changed, values of the best actions."""
    config, env = replace(PLAIN, longest=3, diagnostics=True), board()
    hp = replace(HP, steps=1.0, learning_rate=0.1)
    parts, chunk = parts_of(config), make_chunk(rainbow(env, 4, 4, config, hp), vectorize(env, 4), 4)
    state = jax.jit(chunk.init)(random.key(0), traced(hp), env.params)
    go = jax.jit(lambda state, n: chunk.run(state, traced(hp), (), env.params, jnp.float32(30), n))
    before, _ = go(state, jnp.int32(8))
    after, metrics = go(before, jnp.int32(1))
    key = jax.random.fold_in(jax.random.split(before.key, 4)[3], 1)
    window = draw(parts.layout, key, after.store, config.batch).window
    images = observation(parts.layout, window, 0).astype(jnp.float32)

    def seen(params: Any) -> Any:
        found = parts.call(
            ActionValues.values, params, parts.call(ActionValues.encode, params, images), False
        )
        return np.float64(found[0][..., 0]), np.float64(found[1])

    (old, _), (new, units) = seen(before.learner.params), seen(after.learner.params)
    eigenvalues = np.linalg.eigvalsh(units.T @ units)
    expected = {
        "feature_rank": eigenvalues.sum() ** 2 / (eigenvalues**2).sum(),
        "churn": (old.argmax(-1) != new.argmax(-1)).mean(),
        "q_highest": new.max(),
        "q_gap": (new.max(-1) - new.mean(-1)).mean(),
        "weight_norm": math.sqrt(
            sum((np.float64(x) ** 2).sum() for x in jax.tree.leaves(after.learner.params))
        ),
    }
    assert 0 < expected["churn"] < 1 < expected["feature_rank"]
    for name, value in expected.items():
        np.testing.assert_allclose(metrics[name], value, rtol=1e-4, err_msg=name)


def test_an_error_that_is_no_number_stays_out_of_the_priorities_and_its_seed_diverges_alone():
    config, hp, runs = replace(PLAIN, prioritised=True, priority="loss"), replace(HP, steps=1.0), 2
    env = board()
    chunk = make_chunk(rainbow(env, 4, 4, config, hp), vectorize(env, 4), 4)
    many = over_runs(chunk, [RunAxis("seed", runs)])
    state = jax.jit(many.init)(jax.random.split(random.key(0), runs), traced(hp), env.params)
    go = jax.jit(lambda state: many.run(state, traced(hp), (), env.params, jnp.float32(30), jnp.int32(8))[0])
    state = go(state)
    spoiled = replace(
        state, store=replace(state.store, reward=state.store.reward.at[0, :20].set(float("nan")))
    )
    alone, after = go(state), go(spoiled)
    assert int(state.learner.steps[0]) > 0 and (np.asarray(alone.diverged) == -1).all()
    assert int(after.diverged[0]) == 8 and int(after.diverged[1]) == -1
    priorities = after.store.priorities
    assert np.isfinite(priorities.leaves).all() and float(priorities.sums[0].sum()) > 0
    np.testing.assert_array_equal(priorities.sums, priorities.leaves.sum((2, 3)))
    second = lambda tree: jax.tree.map(lambda x: x[1], tree)
    assert_equal(second(after), second(alone))


def test_a_step_that_is_not_sound_is_not_made_and_none_after_it():
    """Of an update's four steps the second is lost: the state after it and after the updates that follow is that of one step."""
    config = replace(PLAIN, gradient_steps=4, prioritised=True, priority="loss", longest=3)
    env, parts, hp = board(), parts_of(config), replace(HP, steps=1.0)
    chunk = make_chunk(rainbow(env, 4, 4, config, hp), vectorize(env, 4), 4)
    state = jax.jit(chunk.init)(random.key(0), traced(hp), env.params)
    run = jax.jit(
        lambda state, n: chunk.run(state, traced(hp), (), env.params, jnp.float32(30), n), static_argnums=()
    )
    state = run(state, jnp.int32(8))[0]
    before, now = state.learner, Scheduled(*(jnp.float32(x) for x in (1e-3, 0.5, 100, 100)))
    assert int(before.steps) > 0
    steps = jax.jit(lambda store, n: gradient_steps(parts, before, random.key(1), store, traced(hp), now, n))
    one = steps(state.store, jnp.int32(1))
    # What only the second step draws says nothing any more.
    key = lambda i: jax.random.split(jax.random.fold_in(random.key(1), i), 4)[0]
    held = lambda i, store: np.asarray(draw(parts.layout, key(i), store, config.batch).place)
    second = held(1, replace(state.store, priorities=one.priorities))
    rows = np.setdiff1d(second, held(0, state.store)) // 4
    rows = np.setdiff1d(rows, held(0, state.store) // 4)
    assert rows.size
    spoiled = replace(state.store, reward=state.store.reward.at[rows].set(jnp.nan))
    four = steps(spoiled, jnp.int32(4))
    assert int(steps(state.store, jnp.int32(4)).made) == 4
    assert int(four.made) == 2 and not bool(four.state.sound) and bool(one.state.sound)
    assert np.isnan(four.sums["loss"]) and np.isfinite(steps(state.store, jnp.int32(4)).sums["loss"])
    assert_equal(replace(four.state, sound=one.state.sound), one.state)
    # A step size beyond all reason is not taken either, whatever the gradient is.
    far = gradient_steps(
        parts,
        before,
        random.key(1),
        state.store,
        traced(hp),
        now._replace(learning_rate=jnp.float32(1e38)),
        jnp.int32(4),
    )
    assert int(far.made) == 1 and not bool(far.state.sound)
    assert_equal(replace(far.state, sound=before.sound, target=before.target), before)
    # The chunk calls the run lost, and its learner stays as it is.
    lost = run(
        replace(state, store=replace(state.store, reward=jnp.full_like(state.store.reward, jnp.nan))),
        jnp.int32(1),
    )[0]
    later = run(lost, jnp.int32(2))[0]
    assert int(state.diverged) == -1 and int(lost.diverged) == int(later.diverged) == 8
    assert_equal(later.learner, lost.learner)
    assert_equal(replace(lost.learner, sound=before.sound), before)


def test_images_become_brighter_and_darker():
    env = board("float32")
    images = _changed(
        parts_of(replace(SPR, intensity=0.05), env), random.key(0), jnp.ones((64, SIDE, SIDE, 1))
    )
    factor = np.asarray(images).reshape(64, -1)
    assert images.dtype == jnp.float32 and (factor == factor[:, :1]).all()
    assert 0.9 <= factor.min() < 0.97 and 1.03 < factor.max() <= 1.1


@pytest.mark.parametrize(
    ("name", "dtype"), [("screens", "bool"), ("screens", "uint8"), ("Breakout-MinAtar", "float32")]
)
def test_images_of_two_values_are_refused_brightness(name: str, dtype: str):
    env = dataclasses.replace(board(), name=name, observation_space=Box(0.0, 1.0, (SIDE, SIDE, 1), dtype))
    with pytest.raises(
        ValueError, match=f"intensity is 0.05, but every pixel of {name} is 0 or 1, .* must be 0"
    ):
        parts_of(replace(SPR, intensity=0.05), env)
    parts_of(replace(SPR, intensity=0.0), env)


@pytest.mark.parametrize(
    ("changes", "asked"),
    [
        ({}, "predicted is 2"),
        ({"shift": 1, "predicted": 0}, "shift is 1"),
        ({"intensity": 0.1}, "intensity is 0.1 and predicted is 2"),
    ],
)
def test_what_is_of_images_is_refused_without_them_by_name(changes: Any, asked: str):
    message = rf"{asked}, of images .* observations have shape \(2,\); they must be 0, as those of the agents dqn, rainbow"
    with pytest.raises(ValueError, match=message):
        parts_of(replace(SPR, **changes), walk.make())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: Any) -> Any:
    """A run by priority whose checkpoints lie where the buffer is half full, exactly full, just wrapped, and later."""
    out = tmp_path_factory.mktemp("rainbow") / "run"
    learner = {"capacity": 128, "batch": 8, "gradient_steps": 1, "warm_up": 16, "network": {"hidden": (8,)}}
    config = walk.config("rainbow", num_envs=4, rollout_length=8, learner=learner, updates=5)
    config = dataclasses.replace(config, rows=10, checkpoints=10, keep=10)
    return train(config, out), out, config


@pytest.mark.parametrize("step", [2, 4, 5])
def test_a_run_resumed_with_its_priorities_is_the_run_that_went_on(whole: Any, step: int):
    result, out, config = whole
    assert result.states[0].store.reward.shape == (1, 32, 4)
    assert int(result.states[0].learner.steps[0]) > 0
    again = train(config, out, resume=True, step=step)
    assert_equal(again.states, result.states)
    assert again.eval_return == result.eval_return


@pytest.mark.parametrize("name", VARIANTS)
def test_every_preset_makes_a_learner_of_atari_frames_and_of_boards(name: str):
    for env_name, shape in (("atari/Pong", (84, 84, 4)), ("Breakout-MinAtar", (10, 10, 4))):
        preset = rainbow_preset(name, env_name)
        env = dataclasses.replace(board(), observation_space=Box(0.0, 255.0, shape, "uint8"))
        learner = rainbow(env, preset.num_envs, preset.rollout_length, preset.config, preset.hp)
        state = jax.eval_shape(learner.init, random.key(0), traced(preset.hp))
        kernel = state.params["params"]["advantage_hidden"]["kernel"]
        features = {("spr", "atari/Pong"): 7 * 7 * 64, ("bbf", "atari/Pong"): 11 * 11 * 128}
        if (name, env_name) in features:
            assert kernel.shape[0] == features[name, env_name]
        # Two gradient steps for each environment step are SPR's; SR-SPR has eight, OTRainbow too.
        ratio = preset.config.gradient_steps / (preset.num_envs * preset.rollout_length)
        assert ratio == {"sr-spr": 8, "otrainbow": 8, "der": 1, "drq": 1, "drq-eps": 1}.get(name, 2)


def test_presets_have_the_units_of_their_sources():
    """Of Dopamine's lab: Huber's loss without distributions, no random actions beside noise, and a target network that is renewed by environment steps."""
    of = lambda name: rainbow_preset(name, "atari/Pong")
    for name, end, evaluation in (("drq", 0.1, 0.05), ("drq-eps", 0.01, 0.001)):
        config, hp = of(name).config, of(name).hp
        assert (config.atoms, config.loss, config.network.noisy) == (1, "huber", False)
        assert (hp.epsilon_start, hp.epsilon_end, hp.epsilon_evaluation) == (1.0, end, evaluation)
        assert hp.exploration * 100_000 == 5_000
    config, hp = of("der").config, of("der").hp
    assert config.network.noisy and (hp.epsilon_start, hp.epsilon_end, hp.exploration) == (0.0, 0.0, 0.0)
    hp = of("otrainbow").hp
    assert (hp.epsilon_start, hp.epsilon_end, hp.exploration) == (1.0, 0.01, 0.5)
    # Environment steps between two renewals of the target network; the others' moves with every gradient step.
    for name in VARIANTS:
        preset, every = of(name), {"der": 2_000, "otrainbow": 500}.get(name)
        ratio = preset.config.gradient_steps / (preset.num_envs * preset.rollout_length)
        assert preset.config.target_period == (1 if every is None else every * ratio), name


@pytest.mark.parametrize(
    ("changes", "hp", "message"),
    [
        (
            {"gradient_steps_at_first": 3},
            {},
            r"gradient_steps_at_first is 3; it must be at most gradient_steps \(2\)",
        ),
        ({"atoms": 1}, {}, "priority is 'kl', but with 1 atom there are no distributions"),
        ({"shift": 4}, {}, "shift is 4, but images are 4x4; it must be less than 4"),
        ({"low": 1.0}, {}, "low is 1.0 and high is 1.0; low must be below high"),
        ({"network": replace(SMALL, hidden=(8, 8))}, {}, r"network.hidden is \(8, 8\), with predicted 2"),
        ({"network": replace(SMALL, encoder="flat")}, {}, "all three are of images"),
        ({"network": replace(SMALL, encoder="atari")}, {}, r"observations have shape \(4, 4, 1\); it needs"),
        ({"capacity": 64}, {}, "windows of 3 steps and stacks of 1 need at least 8|capacity"),
        ({}, {"steps": 4.0}, r"hp.steps is 4.0; it must be at most learner.longest \(3\)"),
        ({}, {"steps_start": 4.0, "anneal": 5.0}, r"hp.steps_start is 4.0; it must be at most"),
    ],
)
def test_what_does_not_fit_is_refused(changes: Any, hp: Any, message: str):
    if "capacity" in changes:
        changes = {**changes, "longest": 20, "predicted": 2}
        message = "capacity is 64, which is 16 steps of each of 4 environments; windows of 20 steps and stacks of 1 need"
    with pytest.raises(ValueError, match=message):
        rainbow(board(), 4, 4, replace(SPR, **changes), replace(HP, **hp))


def test_boards_kept_as_bytes_are_the_boards_as_numbers():
    """MinAtar shows zeros and ones in float32; a run that keeps them as bytes is the same run."""
    env, hp = make("Breakout-MinAtar"), replace(HP, steps=1.0)
    config = replace(PLAIN, warm_up=16, network=ActionValuesConfig(encoder="minatar", hidden=(8,)))
    (plain, _), (small, _) = (run(replace(config, store_bytes=x), 6, hp, env) for x in (False, True))
    assert_equal(small.learner, plain.learner)
    assert small.store.frame.dtype == jnp.uint8 and plain.store.frame.dtype == jnp.float32
    np.testing.assert_array_equal(small.store.frame, 255 * plain.store.frame)
    assert int(plain.learner.steps) > 3 and float(plain.store.frame.sum()) > 100


def test_bytes_need_bounds():
    """Shades become the nearest of 256 levels; what has no bounds has no levels."""
    config = replace(PLAIN, store_bytes=True)
    with pytest.raises(
        ValueError, match=r"learner.store_bytes needs observations between one lowest and one highest"
    ):
        rainbow(make("CartPole-v1"), 1, 4, config, replace(HP, steps=1.0))


def test_agents_that_need_images_say_so_and_the_others_take_numbers():
    for name, variant in VARIANTS.items():
        preset = rainbow_preset(name, "CartPole-v1")
        if variant.config.get("predicted") or variant.config.get("shift"):
            with pytest.raises(ValueError, match="observations have shape"):
                rainbow(walk.make(), 1, 4, preset.config, preset.hp)
        else:
            rainbow(walk.make(), 1, 4, preset.config, preset.hp)


def test_one_action_is_enough():
    env = dataclasses.replace(board(), action_space=Discrete(1))
    state, _ = run(replace(SPR, warm_up=16), 3, env=env)
    assert int(state.diverged) == -1
    assert isinstance(state.learner, RainbowState)
