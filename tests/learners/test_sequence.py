"""Learners of whole completions: what is counted, what each loss is, and that all of them learn."""

import dataclasses
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl_envs import Box, Discrete, Env, EnvStep
from jaxrl_envs.contract import Arms
from jaxrl_envs.vector import vectorize
from jaxrl_evolve import make_chunk, random
from jaxrl_evolve.algorithms.sequence import METHODS, SEQUENCES, sequence_preset
from jaxrl_evolve.curricula.table import make_curriculum
from jaxrl_evolve.experience.completions import at_ends, completions_of, over_steps
from jaxrl_evolve.learners.learner import traced
from jaxrl_evolve.learners.reference import Reference
from jaxrl_evolve.learners.sequence import sequence
from jaxrl_evolve.learners.sequence_config import SequenceConfig, SequenceHyperparameters
from jaxrl_evolve.learners.sequence_losses import Answers, advantages, loss_of
from jaxrl_evolve.networks.config import NetworkConfig
from jaxrl_evolve.runs.shared_tasks import shared
from jaxrl_evolve.trajectory import PolicyOutput, Trajectory

WORDS, LENGTH = 4, 3


def answering(taught: bool = False) -> Env:
    """The prompt is a number, shown at every step; a right answer says it three times. A teacher does."""

    def seen(params: Any, place: Any) -> Any:
        return jnp.concatenate([jax.nn.one_hot(params, WORDS), place[None].astype(jnp.float32) / LENGTH])

    def reset(key: Any, params: Any) -> Any:
        del key
        return seen(params, jnp.int32(0)), (jnp.int32(0), jnp.float32(0))

    def step(key: Any, state: Any, action: Any, params: Any) -> EnvStep:
        del key
        action = params if taught else action
        place, right = state[0] + 1, state[1] + (action == params)
        over = place == LENGTH
        reward = jnp.where(over, right / LENGTH, 0.0).astype(jnp.float32)
        info = {"taught": params} if taught else {}
        return EnvStep(seen(params, place), (place, right), reward, over, jnp.bool_(False), info)

    draw = lambda key: jax.random.randint(key, (), 0, WORDS, jnp.int32)
    space = Box(0.0, 1.0, (WORDS + 1,), "float32")
    arms = Arms(tuple(map(str, range(WORDS))), lambda key, arm: arm)
    return Env("answering", reset, step, jnp.int32(0), space, Discrete(WORDS), sample_params=draw, arms=arms)


ENV = answering()


def test_completions_are_the_first_whole_episodes_that_begin_in_the_rollout():
    rng = np.random.default_rng(0)
    steps, slots, most = 12, 30, 2
    first = rng.random((steps, slots)) < 0.3
    first[0, ::2] = True
    ended = np.zeros_like(first)
    ended[:-1] = first[1:]
    ended[-1] = rng.random(slots) < 0.5
    reward = rng.normal(size=first.shape).astype(np.float32)
    asked = rng.random(first.shape) < 0.6
    t = trajectory(first, ended, reward, asked)
    found = completions_of(t, most)
    number = np.full(first.shape, most)
    total, length, whole = np.zeros((slots, most)), np.zeros((slots, most)), np.zeros((slots, most), bool)
    for n in range(slots):
        begins = list(np.flatnonzero(first[:, n]))
        for e, begin in enumerate(begins[:most]):
            ends = [i for i in np.flatnonzero(ended[:, n]) if i >= begin]
            if ends:
                own = slice(begin, ends[0] + 1)
                number[own, n], whole[n, e] = e, True
                total[n, e], length[n, e] = reward[own, n].sum(), asked[own, n].sum()
                assert float(at_ends(t.reward, found.number, t.ended, most)[n, e]) == reward[ends[0], n]
    np.testing.assert_array_equal(found.number, number)
    np.testing.assert_array_equal(found.whole, whole)
    np.testing.assert_array_equal(found.asked, asked & (number < most))
    np.testing.assert_allclose(found.total, total, atol=1e-6)
    np.testing.assert_array_equal(found.length, length)
    back = np.asarray(over_steps(found.total, found.number))
    assert back[number == most].max() == 0 and whole.any() and not whole.all()
    np.testing.assert_allclose(back[4, 0], total[0, number[4, 0]] if number[4, 0] < most else 0, atol=1e-6)


def trajectory(first: Any, ended: Any, reward: Any, asked: Any) -> Trajectory:
    zeros, flags = jnp.zeros(first.shape), [jnp.asarray(x) for x in (first, ended, asked)]
    no = jnp.zeros(first.shape, bool)
    policy = PolicyOutput(zeros)
    return Trajectory(
        zeros, zeros, jnp.asarray(reward), flags[1], no, flags[0], zeros, policy, (), {"asked": flags[2]}
    )


def test_advantages_are_those_of_the_papers():
    worth = jnp.asarray([[1.0, 0.0, 0.0, 0.5], [0.3, 0.3, 0.3, 0.3], [2.0, 9.0, 4.0, 9.0]])
    whole = jnp.asarray([[True] * 4, [True] * 4, [True, False, True, False]])
    apart = np.asarray([0.625, -0.375, -0.375, 0.125])
    for kind, factor in (
        ("mean", 1.0),
        ("standard", 1 / np.sqrt(np.mean(apart**2))),
        ("leave_one_out", 4 / 3),
    ):
        found = advantages(kind, worth, whole)
        np.testing.assert_allclose(found[0], factor * apart, rtol=1e-5)
        assert (np.asarray(found[1]) == 0).all()  # alike: exactly nothing, not rounding over rounding
        two = {"mean": 1.0, "standard": 1.0, "leave_one_out": 2.0}[kind]
        np.testing.assert_allclose(found[2], [-two, 0, two, 0], rtol=1e-6)
    # The baseline of each is the mean of the others.
    others = (worth[0].sum() - worth[0]) / 3
    np.testing.assert_allclose(advantages("leave_one_out", worth, whole)[0], worth[0] - others, rtol=1e-5)


def some_answers(config: SequenceConfig, groups: int = 3) -> tuple[Any, Answers]:
    """Log-probabilities of tokens, equal to the old ones, and completions of unlike length and worth."""
    rng = np.random.default_rng(1)
    members, steps = 4, 5
    slots = groups * members
    length = rng.integers(1, steps + 1, slots)
    there = np.arange(steps)[:, None] < length[None]
    log_prob = np.where(there, -rng.random((steps, slots)) - 0.1, 0).astype(np.float32)
    worth = rng.random((groups, members)).astype(np.float32)
    worth[0] = 0.5  # says nothing
    if config.loss == "nft":
        worth = np.round(worth)
        worth[0] = 1.0
    labels = np.where(worth[:, :, None] == worth[:, None], 0.5, worth[:, :, None] > worth[:, None])
    whole = np.ones((groups, members), bool)
    arrays = (
        log_prob,
        log_prob,
        np.where(there, 0, 1),
        there,
        whole,
        length.reshape(whole.shape),
        worth,
        labels,
    )
    return jnp.asarray(log_prob), Answers(
        *(jnp.asarray(x, x.dtype if x.dtype == bool else None) for x in arrays)
    )


def gradient(hp: Any = None, **settings: Any) -> np.ndarray:
    """Of the loss with respect to the log-probability of every token, at the policy that answered."""
    config = SequenceConfig(group=4, **settings)
    log_prob, answers = some_answers(config)
    loss = lambda x: loss_of(config, hp or SequenceHyperparameters(), x, jnp.zeros_like(x), answers)[0]
    return np.asarray(jax.grad(loss)(log_prob))


def test_first_gradients_are_equal_up_to_their_scale():
    """On the policy that answered, before the first step: each is a policy gradient, with its own weight."""
    _, answers = some_answers(SequenceConfig())
    there, length = np.asarray(answers.asked), np.asarray(answers.length).ravel()
    mean = np.asarray(advantages("mean", answers.worth, answers.whole)).ravel()
    plain = (
        -mean / 12 * there
    )  # the mean over completions of their summed log-probabilities times the advantage
    np.testing.assert_allclose(
        gradient(loss="reinforce", advantage="mean", aggregate="sum"), plain, atol=1e-7
    )
    np.testing.assert_allclose(gradient(loss="clip", advantage="mean", aggregate="sum"), plain, atol=1e-7)
    np.testing.assert_allclose(
        gradient(loss="clip", advantage="mean", aggregate="constant"), plain / 5, atol=1e-7
    )
    token = plain * 12 / there.sum()
    np.testing.assert_allclose(gradient(loss="clip", advantage="mean", aggregate="token"), token, atol=1e-7)
    standard = np.asarray(advantages("standard", answers.worth, answers.whole)).ravel()
    np.testing.assert_allclose(gradient(), -standard / length / 12 * there, atol=1e-7)
    # SPPO is twice eta times the gradient of what the completions are worth against one half.
    hp = SequenceHyperparameters(eta=0.7)
    half = -(np.asarray(answers.worth).ravel() - 0.5) / 12 * there
    sppo = gradient(hp, loss="sppo", worth="preference")
    np.testing.assert_allclose(sppo, 2 * 0.7 * half, atol=1e-6)
    # In pairs the mean falls out: of M members, 2 eta times 2 (the mean over ordered pairs, both of a pair).
    rebel = gradient(hp, loss="sppo", baseline="pairwise")
    np.testing.assert_allclose(rebel, 4 * 0.7 * plain, atol=1e-6)


def test_nft_is_a_policy_gradient_at_first():
    _, answers = some_answers(SequenceConfig(loss="nft"))
    there = np.asarray(answers.asked)
    for balance, kind in (("wrong", "mean"), ("spread", "standard")):
        advantage = np.asarray(advantages(kind, answers.worth, answers.whole)).ravel()
        found = gradient(loss="nft", balance=balance)
        np.testing.assert_allclose(found, -advantage / 12 * there, atol=1e-5)


def test_groups_in_which_all_are_alike_teach_nothing():
    for method, (_, settings, _) in METHODS.items():
        # With halves a tie is worth one half, whoever else is in the group; who imitates, compares nothing; revisions are in a file of their own.
        if settings.get("mixed") == "half" or settings["loss"] in ("imitate", "srpo"):
            continue
        found = gradient(**settings)
        assert np.abs(found[:, 4:]).max() > 1e-3, method
        assert (found[:, :4] == 0).all(), method


def test_a_mean_over_tokens_is_that_of_the_log_ratio():
    _, answers = some_answers(SequenceConfig())
    length = np.asarray(answers.length).ravel()
    total = gradient(loss="ipo", reference="first")
    mean = gradient(loss="ipo", reference="first", logp_reduction="mean")
    np.testing.assert_allclose(mean, total / length, atol=1e-6)


def test_inpo_is_ipo_towards_a_mixture():
    """Its loss in the paper's terms (Zhang et al. 2024, arXiv 2407.00617, equation 7), pair by pair."""
    config = SequenceConfig(group=4, loss="ipo", reference="first")
    log_prob, answers = some_answers(config)
    rng = np.random.default_rng(4)
    policy, first = (
        jnp.where(answers.asked, log_prob + rng.normal(0, 0.3, log_prob.shape), 0.0) for _ in range(2)
    )
    answers = dataclasses.replace(answers, reference=first.astype(jnp.float32))
    eta, tau = 0.8, 0.2
    hp = SequenceHyperparameters(beta=eta, mixture=tau / eta)
    found = loss_of(config, hp, policy.astype(jnp.float32), jnp.zeros_like(log_prob), answers)[0]
    new, ref, old = (np.asarray(x.sum(0)).reshape(3, 4) for x in (policy, first, log_prob))
    errors = []
    for g in range(3):
        for i in range(4):
            for j in range(i + 1, 4):
                margin = new[g, i] - new[g, j] - tau / eta * (ref[g, i] - ref[g, j])
                margin -= (eta - tau) / eta * (old[g, i] - old[g, j])
                errors.append((margin - (float(answers.labels[g, i, j]) - 0.5) / eta) ** 2)
    np.testing.assert_allclose(found, np.mean(errors), rtol=1e-5)


@pytest.mark.parametrize(
    ("loss", "hp", "value"),
    [("dpo", {}, 0.589185), ("dpo", {"label_noise": 0.1}, 0.611185), ("ipo", {}, 7.84)],
)
def test_a_pair_costs_what_it_does_elsewhere(loss: Any, hp: Any, value: float):
    """Of log-ratios .8 of the preferred and -1.4 of the other, with a weight of .1; whichever of the two comes first."""
    config, ratio = (
        SequenceConfig(group=2, loss=loss, reference="first"),
        np.asarray([[0.8, -1.4]], np.float32),
    )
    for order in (1, -1):
        log_prob, label = jnp.asarray(ratio[:, ::order]), 0.5 + 0.5 * order
        zeros, ones = jnp.zeros((1, 2)), jnp.ones((1, 2))
        labels = jnp.asarray([[[0.5, label], [1 - label, 0.5]]], jnp.float32)
        flags = jnp.ones((1, 2), bool)
        answers = Answers(zeros, zeros, jnp.zeros((1, 2), jnp.int32), flags, flags, ones, ones, labels)
        found = loss_of(config, SequenceHyperparameters(**hp), log_prob, zeros, answers)[0]
        np.testing.assert_allclose(found, value, rtol=1e-5)


def test_far_off_policies_have_finite_gradients():
    config = SequenceConfig(group=4)
    log_prob, answers = some_answers(config)
    for shift in (-200.0, 200.0):
        far = dataclasses.replace(answers, old=answers.old + shift)
        loss = lambda x, far=far: loss_of(config, SequenceHyperparameters(), x, jnp.zeros_like(x), far)[0]
        value, slope = jax.value_and_grad(loss)(log_prob)
        assert np.isfinite(value) and np.isfinite(np.asarray(slope)).all()


def built(method: str, **changes: Any) -> tuple[Any, Any]:
    preset = sequence_preset(method, ENV.name)
    network = dataclasses.replace(preset.config.network, hidden=(16,))
    config = dataclasses.replace(
        preset.config, **{"group": 4, "minibatches": 2, "network": network, **changes}
    )
    learner = sequence(ENV, 32, LENGTH, config, dataclasses.replace(preset.hp, learning_rate=3e-2))
    return learner, make_chunk(learner, vectorize(ENV, 32, params_per_slot=True), LENGTH)


@cache
def learned(method: str) -> tuple[float, float, dict[str, float]]:
    """Returns of the first updates and of the last ones, and the metrics of these."""
    learner, chunk = built(method)
    hp = traced(learner.default_hp)
    state = jax.jit(chunk.init)(random.key(1), hp, ENV.params)
    run = jax.jit(chunk.run)
    state, before = run(state, hp, (), ENV.params, jnp.float32(80), jnp.int32(3))
    state, _ = run(state, hp, (), ENV.params, jnp.float32(80), jnp.int32(67))
    state, after = run(state, hp, (), ENV.params, jnp.float32(80), jnp.int32(10))
    assert int(state.diverged) == -1
    return (
        float(before["episode_return"]),
        float(after["episode_return"]),
        {k: float(v) for k, v in after.items()},
    )


@pytest.mark.parametrize(
    "method",
    [
        pytest.param(m, marks=() if m in ("grpo", "sppo", "dpo") else pytest.mark.slow)
        for m in METHODS
        if m not in ("imitation", "srpo")
    ],
)
@pytest.mark.core("grpo", "dpo")
def test_every_method_learns_to_answer(method: str):
    before, after, metrics = learned(method)
    assert before < 0.5 and after > 0.9, (before, after)
    assert metrics["unfinished"] == 0 and metrics["completion_length"] == LENGTH
    assert metrics["steps_used"] == 1
    if method in ("sppo", "dpo"):
        assert metrics["queries"] > 0


@pytest.mark.parametrize("name", ["", "uniform"])
def test_groups_answer_the_same_prompt(name: str):
    """Drawn by the environment, or by a curriculum of arms."""
    learner, _ = built("grpo")
    curriculum = make_curriculum(name, ENV, 32, {}) if name else None

    def looks(key: Any, state: Any, t: Trajectory, hp: Any, eta: Any, clock: Any) -> Any:
        prompt = t.obs[0, :, :WORDS].argmax(-1).reshape(8, 4)
        alike, unlike = (prompt == prompt[:, :1]).all(), (prompt[:, 0] != prompt[0, 0]).any()
        seen = {"alike": alike, "unlike": unlike, "first": t.first[0].all()}
        return state, {"loss": jnp.float32(0), **{k: x.astype(jnp.float32) for k, x in seen.items()}}

    watched = learner._replace(update=looks)
    chunk = make_chunk(watched, vectorize(ENV, 32, params_per_slot=True), LENGTH, curriculum)
    hp = traced(learner.default_hp)
    state = jax.jit(chunk.init)(random.key(3), hp, ENV.params)
    _, told = jax.jit(chunk.run)(state, hp, (), ENV.params, jnp.float32(5), jnp.int32(5))
    assert told["alike"] == told["first"] == 1 and told["unlike"] > 0.5


def test_what_was_impossible_where_nobody_was_asked_counts_for_nothing():
    config = SequenceConfig(group=4, loss="imitate")
    log_prob, answers = some_answers(config)
    hp, entropy = SequenceHyperparameters(), jnp.zeros_like(log_prob)
    loss = lambda x: loss_of(config, hp, jnp.where(answers.asked, x, -jnp.inf), entropy, answers)[0]
    value, slope = jax.value_and_grad(loss)(log_prob)
    asked = np.asarray(answers.asked)
    np.testing.assert_allclose(value, -np.asarray(log_prob)[asked].mean(), rtol=1e-6)
    np.testing.assert_allclose(slope, -(asked / asked.sum()), rtol=1e-6)


def test_what_a_teacher_does_is_imitated_and_taken_over():
    """Then another method starts from it."""
    env, preset = answering(taught=True), sequence_preset("imitation", "answering")
    config = dataclasses.replace(preset.config, network=NetworkConfig(hidden=(16,)))
    learner = sequence(env, 32, LENGTH, config, dataclasses.replace(preset.hp, learning_rate=3e-2))
    chunk = make_chunk(
        learner, vectorize(env, 32, params_per_slot=True), LENGTH, make_curriculum("random", env, 32, {})
    )
    hp = traced(learner.default_hp)
    state = jax.jit(chunk.init)(random.key(1), hp, env.params)
    state, told = jax.jit(chunk.run)(state, hp, (), env.params, jnp.float32(60), jnp.int32(60))
    assert told["episode_return"] == 1  # the teacher's
    other = sequence(
        ENV, 32, LENGTH, dataclasses.replace(sequence_preset("dpo", ENV.name).config, network=config.network)
    )
    fresh = jax.jit(other.init)(random.key(2), traced(other.default_hp))
    assert other.adopt is not None
    taken = other.adopt(fresh, state.learner)
    obs = jax.vmap(lambda prompt: ENV.reset(random.key(0), prompt)[0])(jnp.arange(WORDS))
    for policy in (taken.params, taken.reference.actor):
        actor = other.actor(dataclasses.replace(taken, params=policy))
        action = other.act(actor, obs, jnp.ones(WORDS, bool), (), random.key(0), "greedy")[0]
        np.testing.assert_array_equal(action, np.arange(WORDS))
    assert jax.tree.structure(taken) == jax.tree.structure(fresh)
    assert jax.tree.map(jnp.shape, taken) == jax.tree.map(jnp.shape, fresh)
    with pytest.raises(ValueError, match="nobody is to be imitated in answering"):
        sequence(ENV, 32, LENGTH, config)


def test_while_a_teacher_answers_the_policy_is_not_asked():
    """Rollouts hold nothing of it; whoever evaluates it does ask."""
    network = NetworkConfig(hidden=(16,))
    config = dataclasses.replace(sequence_preset("imitation", "answering").config, network=network)
    learner = sequence(answering(taught=True), 8, LENGTH, config)
    state = learner.init(random.key(0), traced(learner.default_hp))
    actor = learner.actor(dataclasses.replace(state, params=jax.tree.map(lambda x: 9 * x, state.params)))
    obs = jax.vmap(lambda prompt: ENV.reset(random.key(0), prompt)[0])(jnp.arange(WORDS))
    acts = lambda actor, mode: learner.act(actor, obs, jnp.ones(WORDS, bool), (), random.key(0), mode)
    action, memory, said = acts(jax.tree.map(lambda x: x * jnp.nan, actor), "explore")
    assert memory == () and said.distribution is None
    np.testing.assert_array_equal(said.log_prob, np.zeros(WORDS))
    asked = {mode: acts(actor, mode)[0] for mode in ("sample", "greedy")}
    assert all(action.dtype == own.dtype and action.shape == own.shape for own in asked.values())
    assert len(set(np.asarray(asked["greedy"]).tolist())) > 1


def test_who_answers_by_a_mixture():
    """With none of the reference in it, it is the policy; with nothing else, the reference. Nobody does in evaluation."""
    network = NetworkConfig(hidden=(8,))
    config = SequenceConfig(
        "reinforce", 4, worth="preference", reference="first", mixed="half", network=network
    )
    learner = sequence(ENV, 32, LENGTH, config)
    state = jax.jit(learner.init)(random.key(0), traced(learner.default_hp))
    louder = jax.tree.map(lambda x: -99.0 * x, state.params)  # not almost uniform
    state = dataclasses.replace(state, params=louder, reference=Reference.of(state.params))
    obs = jax.vmap(ENV.observation_space.sample)(jax.random.split(random.key(1), 32))
    key, first = random.key(2), jnp.ones(32, bool)

    def acts(share: float, state: Any = state, mode: Any = "explore") -> Any:
        actor = learner.actor(dataclasses.replace(state, share=jnp.float32(share)))
        action, _, said = learner.act(actor, obs, first, learner.initial_memory(32), key, mode)
        return np.asarray(action), np.asarray(said.log_prob)

    own, log_prob = acts(0.0)
    swapped = dataclasses.replace(state, params=state.reference.actor)
    reference, _ = acts(0.0, swapped)
    mixed, told = acts(1.0)
    half = np.arange(32) % 4 >= 2
    assert (own != reference)[half].any()
    np.testing.assert_array_equal(mixed, np.where(half, reference, own))
    np.testing.assert_array_equal(acts(1.0, mode="sample")[0], own)
    # What is recorded is how likely the policy was to do it.
    np.testing.assert_array_equal(told[~half], log_prob[~half])
    assert (told[half & (mixed == own)] == log_prob[half & (mixed == own)]).all()


def test_what_a_method_does_not_read_is_no_option():
    for name, algorithm in SEQUENCES.items():
        preset = algorithm.preset("any")
        known = {f"learner.{f.name}" for f in dataclasses.fields(preset.config)}
        known |= {f"hp.{f.name}" for f in dataclasses.fields(preset.hp)} | {"objective"}
        assert set(algorithm.unread) <= known, name
    assert "hp.eta" in SEQUENCES["grpo"].unread and "hp.eta" not in SEQUENCES["sppo"].unread
    assert {"learner.preference", "hp.clip"} <= set(SEQUENCES["nft"].unread)


def test_curricula_are_told_of_the_group_as_a_critic():
    rng = np.random.default_rng(2)
    reward = np.zeros((LENGTH, 32), np.float32)
    reward[-1] = rng.random(32)
    reward[-1, :4] = 0.25
    first, ended = np.zeros(reward.shape, bool), np.zeros(reward.shape, bool)
    first[0], ended[-1] = True, True
    learner, _ = built("grpo")
    t = trajectory(first, ended, reward, np.ones(reward.shape, bool))
    hp = traced(learner.default_hp)
    found = learner.assess(jax.jit(learner.init)(random.key(0), hp), t, hp)
    groups = reward[-1].reshape(8, 4)
    apart = groups - groups.mean(1, keepdims=True)
    np.testing.assert_allclose(found.value[0], np.repeat(groups.mean(1), 4), rtol=1e-5)
    deviation = np.maximum(apart.std(1, keepdims=True), 1e-9)
    np.testing.assert_allclose(found.advantage[1], (apart / deviation).ravel(), rtol=1e-4)
    np.testing.assert_allclose(found.td_error, [*np.zeros((2, 32)), apart.ravel()], atol=1e-6)


def test_where_a_teacher_answers_neighbours_are_not_compared():
    """They answer different prompts: what is told of each is its own."""
    config = sequence_preset("imitation", "answering").config
    config = dataclasses.replace(config, completions=1, network=NetworkConfig(hidden=(8,)))
    learner = sequence(answering(taught=True), 8, LENGTH, config)
    reward = np.zeros((LENGTH, 8), np.float32)
    reward[-1] = np.arange(8) % 2
    first, ended = np.zeros(reward.shape, bool), np.zeros(reward.shape, bool)
    first[0], ended[-1] = True, True
    hp = traced(learner.default_hp)
    t = trajectory(first, ended, reward, np.ones(reward.shape, bool))
    found = learner.assess(jax.jit(learner.init)(random.key(0), hp), t, hp)
    np.testing.assert_array_equal(found.value[0], reward[-1])
    assert (np.asarray(found.advantage) == 0).all() and (np.asarray(found.td_error) == 0).all()


def test_what_is_refused():
    with pytest.raises(ValueError, match="learner.group is 5; it must divide num_envs, 32"):
        sequence(ENV, 32, LENGTH, SequenceConfig(group=5))
    with pytest.raises(ValueError, match="learner.minibatches is 3; it must divide the number of groups, 4"):
        sequence(ENV, 32, LENGTH, SequenceConfig(minibatches=3))
    with pytest.raises(ValueError, match="group is 1"):
        SequenceConfig(group=1)
    with pytest.raises(ValueError, match="kl is 'reinforce', but reference is 'rollout'"):
        SequenceConfig(kl="reinforce")
    with pytest.raises(ValueError, match="mixed is 'all', but reference is 'rollout'"):
        SequenceConfig(mixed="all")
    with pytest.raises(ValueError, match="mixed is 'half' with group 8, worth 'reward' and loss 'clip'"):
        SequenceConfig(mixed="half", reference="first")
    with pytest.raises(ValueError, match="worth is 'preference', but the loss nft"):
        SequenceConfig(loss="nft", worth="preference")
    with pytest.raises(ValueError, match="there is no 'max_rewrd'"):
        sequence(ENV, 32, LENGTH, SequenceConfig(worth="preference", preference="max_rewrd"))
    with pytest.raises(ValueError, match="hp.kl_coef is 0.04, but learner.kl is 'none'"):
        sequence(ENV, 32, LENGTH, SequenceConfig(), SequenceHyperparameters(kl_coef=0.04))
    for loss in ("clip", "reinforce", "nft"):
        with pytest.raises(ValueError, match=f"mixed is 'all', but loss is '{loss}'"):
            SequenceConfig(loss=loss, mixed="all", reference="first")
    with pytest.raises(ValueError, match="epochs is 2 and minibatches 1, but loss is 'reinforce'"):
        SequenceConfig(loss="reinforce", epochs=2)
    with pytest.raises(ValueError, match="epochs is 1 and minibatches 4, but kl is 'reward_to_go'"):
        SequenceConfig(minibatches=4, kl="reward_to_go", reference="first")
    levels = make_curriculum("plr", ENV, 32, {})
    with pytest.raises(ValueError, match="must be one of arms, or none"):
        shared(levels, 4)
