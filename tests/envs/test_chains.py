"""Delayed chains: the first action decides, once for a lifetime; the rest is noise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl_envs import available, check_env, make
from jaxrl_envs.gridworlds.chains import CHAINS, Chain, find_chain, optimal_chain_return, sample_chain


@pytest.mark.filterwarnings("ignore:.*two different keys give the same episode")
@pytest.mark.parametrize("name", available("chain"))
def test_contract(name):
    check_env(make(name, length=7), steps=20, eager=name == "chain/distractor")


def play(env, chain, actions, episodes=1):
    """Observations at the start, and what each step returned, ``[episodes, steps]``, without stopping at the end."""

    def body(state, given):
        key, action = given
        out = env.step(key, state, action, chain)
        return out.state, out._replace(state=None)

    def episode(key):
        obs, state = env.reset(key, chain)
        keys = jax.random.split(key, len(actions))
        outs = jax.lax.scan(body, state, (keys, jnp.asarray(actions, jnp.int32)))[1]
        return obs, outs

    return jax.jit(jax.vmap(episode))(jax.random.split(jax.random.key(3), episodes))


def chain_of(length, correct):
    return Chain(jnp.asarray(length, jnp.int32), jnp.asarray(correct, jnp.int32))


@pytest.mark.parametrize("length", [1, 2, 9])
@pytest.mark.parametrize("correct", [0, 1])
@pytest.mark.parametrize("first", [0, 1])
def test_the_first_action_decides_the_last_reward(length, correct, first):
    env = make("chain/delayed-short")
    actions = [first, *np.random.default_rng(length).integers(0, 2, length - 1)]
    obs, outs = play(env, chain_of(length, correct), actions)
    expected = np.zeros(length)
    expected[-1] = 1.0 if first == correct else -1.0
    np.testing.assert_array_equal(outs.reward[0], expected)
    np.testing.assert_array_equal(outs.terminated[0], [*[False] * (length - 1), True])
    assert not outs.truncated.any()
    assert obs == 0
    np.testing.assert_array_equal(outs.obs[0], [1 + 2 * t + first for t in range(length)])


def test_the_observation_holds_the_longest_chain():
    env = make("chain/delayed-long", length=50)
    _, outs = play(env, env.params, [1] * 50)
    assert env.observation_space.n == 101
    assert outs.obs.max() == 100


def test_noise_is_a_fair_coin_on_every_step_but_the_last():
    env, chain = make("chain/noisy-short"), chain_of(10, 1)
    rewards = np.asarray(play(env, chain, [1] * 10, 400)[1].reward)
    assert (rewards[:, -1] == 1).all()
    noise = rewards[:, :-1]
    assert set(np.unique(noise)) == {-1.0, 1.0}
    assert (abs(noise.mean(0)) < 4 / np.sqrt(400)).all()
    assert abs(np.corrcoef(noise.T) - np.eye(9)).max() < 4.5 / np.sqrt(400)


def test_distractors():
    env, chain = make("chain/distractor"), chain_of(20, 0)
    shown = []
    for first in (0, 1):
        obs, outs = play(env, chain, [first] * 20, 50)
        assert (obs[:, :2] == jnp.asarray([1, 0])).all()
        assert not outs.obs[..., 0].any()
        assert (outs.obs[..., 1] == first).all()
        assert (outs.reward[:, -1] == (1.0 if first == 0 else -1.0)).all()
        shown.append(np.concatenate([obs[:, None], outs.obs], axis=1)[..., 2:].reshape(-1, 20))
    bits = np.concatenate(shown)
    assert bits.shape == (2100, 20)
    assert set(np.unique(bits)) == {0.0, 1.0}
    assert (abs(bits.mean(0) - 0.5) < 4 * 0.5 / np.sqrt(2100)).all()
    assert abs(np.corrcoef(bits.T) - np.eye(20)).max() < 5 / np.sqrt(2100)
    assert abs(np.corrcoef(bits[:-1, 3], bits[1:, 3])[0, 1]) < 4 / np.sqrt(2099)  # drawn anew at each step


def test_the_right_action_is_not_redrawn_by_a_reset():
    """One public version redraws it in each episode without showing it: nothing can be learned there."""
    env = make("chain/delayed-short", length=3)
    rewards = play(env, env.params, [1, 0, 0], 40)[1].reward
    assert len(set(np.asarray(rewards[:, -1]))) == 1


@pytest.mark.parametrize("name", CHAINS)
def test_lifetimes_draw_length_and_action(name):
    chains = jax.vmap(lambda key: sample_chain(key, name))(jax.random.split(jax.random.key(1), 4000))
    low, high = (5, 50) if name.endswith("long") else (5, 30)
    counts = np.bincount(chains.length, minlength=high + 1)
    share = 1 / (high - low + 1)
    assert counts[:low].sum() == 0 and len(counts) == high + 1
    assert (abs(counts[low:] - 4000 * share) < 4.5 * np.sqrt(4000 * share)).all()
    assert abs(chains.correct.mean() - 0.5) < 4 * 0.5 / np.sqrt(4000)
    assert CHAINS[name].lifetime == 2500
    assert (CHAINS[name].noisy, CHAINS[name].distractors) == (
        name.startswith("noisy"),
        20 if name == "distractor" else 0,
    )
    best = optimal_chain_return(chains)
    assert best.shape == (4000,) and best.dtype == jnp.float32 and (best == 1).all()


def test_the_optimum_is_earned_by_the_right_action():
    env = make("chain/noisy-short")
    chain = env.params
    actions = [int(chain.correct)] * int(chain.length)
    totals = play(env, chain, actions, 3000)[1].reward.sum(1)
    assert abs(totals.mean() - optimal_chain_return(chain)) < 4 * totals.std() / np.sqrt(3000)


def test_frames():
    env = make("chain/delayed-short", length=5, correct=1)
    _, state = env.reset(jax.random.key(0), env.params)
    frame = env.render(state, env.params)
    assert frame.shape == (48, 96, 3)
    blue = lambda frame: [
        tuple(int(x) for x in cell)
        for cell in np.argwhere(frame[8::16, 8::16, 2].astype(int) - frame[8::16, 8::16, 0] > 80)
    ]
    assert blue(frame) == [(1, 0)]
    for _ in range(2):
        state = env.step(jax.random.key(0), state, jnp.asarray(1, jnp.int32), env.params).state
    assert blue(env.render(state, env.params)) == [(2, 2)]


def test_what_is_refused():
    with pytest.raises(ValueError, match="length of chain/delayed-short is 31; it must be from 1 to 30"):
        make("chain/delayed-short", length=31)
    with pytest.raises(ValueError, match="correct of chain/noisy-long is 2; it must be from 0 to 1"):
        make("chain/noisy-long", correct=2)
    with pytest.raises(ValueError, match="has no option 'lenght'; did you mean 'length'"):
        make("chain/delayed-short", lenght=3)
    with pytest.raises(ValueError, match="no family of chains 'noisy'; did you mean .*'noisy-short'"):
        find_chain("noisy")
