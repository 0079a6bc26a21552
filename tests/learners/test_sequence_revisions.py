"""SRPO: what is read after a draft, its loss and first step against enumeration, and that a policy learns to draft and to revise."""

import dataclasses
from functools import cache
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_sequence import some_answers, trajectory
from test_sequence_mirror import PROBS, REFERENCE, tokens

from jaxrl_envs import Box, Discrete, Env, EnvStep, make
from jaxrl_envs.token.vocabulary import BOS, EOS, PAD
from jaxrl_envs.vector import vectorize
from jaxrl_evolve import make_chunk, random
from jaxrl_evolve.algorithms.sequence import SEQUENCES, sequence_preset
from jaxrl_evolve.clock import Clock
from jaxrl_evolve.experience.completions import completions_of
from jaxrl_evolve.learners.learner import traced
from jaxrl_evolve.learners.sequence import _taken, sequence
from jaxrl_evolve.learners.sequence_acting import Parts
from jaxrl_evolve.learners.sequence_config import SequenceConfig, SequenceHyperparameters
from jaxrl_evolve.learners.sequence_losses import Answers, loss_of
from jaxrl_evolve.learners.sequence_revisions import Revisions, after_drafts, log_probs_after
from jaxrl_evolve.networks.config import NetworkConfig
from jaxrl_evolve.networks.decoder.generate import generate
from jaxrl_evolve.networks.decoder.revise import revision_prompts
from jaxrl_evolve.networks.decoder.sampling import Sampling
from jaxrl_evolve.networks.decoder_config import DecoderConfig
from jaxrl_evolve.networks.table import make_network

DIGITS, STEPS, SLOTS, GROUP = 4, 3, 8, 4
SHAPE = DecoderConfig(layers=1, width=16, heads=2, kv_heads=1, mlp=16, context=2 * STEPS + 2)
NETWORK = NetworkConfig(kind="decoder", decoder=SHAPE)


def following() -> Env:
    """The prompt is ``BOS d``; the answer begins with the digit after ``d`` and has two tokens, or one and EOS."""
    vocabulary = DIGITS + 3

    def seen(token: Any, time: Any) -> Any:
        return jnp.stack([token, (time >= 1).astype(jnp.int32)]).astype(jnp.int32)

    def reset(key: Any, params: Any) -> Any:
        del key, params
        return seen(jnp.int32(BOS), jnp.int32(0)), (jnp.int32(0), jnp.float32(0))

    def step(key: Any, state: Any, action: Any, params: Any) -> EnvStep:
        del key
        time, right = state
        right = jnp.where(time == 1, action == 3 + (params - 2) % DIGITS, right).astype(jnp.float32)
        over = (time == 2) | (time == 1) & (action == EOS)
        after = seen(jnp.where(time == 0, params, action), time + 1)
        told = {"asked": time >= 1}
        return EnvStep(after, (time + 1, right), jnp.where(over, right, 0.0), over, jnp.bool_(False), told)

    draw = lambda key: jax.random.randint(key, (), 3, vocabulary, jnp.int32)
    space = Box((0.0, 0.0), (vocabulary - 1.0, 1.0), (2,), "int32")
    return Env("following", reset, step, jnp.int32(3), space, Discrete(vocabulary), sample_params=draw)


ENV = following()


def written(prompts: Any, answers: Any, reward: Any, steps: int = STEPS) -> Any:
    """A rollout in which each slot answers once, and then begins an episode that does not end."""
    shape = (steps, len(prompts))
    obs, action = np.zeros((*shape, 2), np.int32), np.zeros(shape, np.int32)
    first, ended, paid = np.zeros(shape, bool), np.zeros(shape, bool), np.zeros(shape, np.float32)
    for n, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
        read, last = [*prompt, *answer][:-1], len(prompt) - 1
        obs[: len(read), n, 0], obs[last : len(read), n, 1] = read, 1
        action[last : len(read), n] = answer
        first[0, n] = ended[len(read) - 1, n] = True
        paid[len(read) - 1, n] = reward[n]
        if len(read) < steps:
            first[len(read), n], obs[len(read) :, n, 0] = True, 6
    t = trajectory(first, ended, paid, obs[..., 1] == 1)
    return dataclasses.replace(t, obs=jnp.asarray(obs), next_obs=jnp.asarray(obs), action=jnp.asarray(action))


PROMPTS = [(BOS, 3)] * GROUP + [(BOS, 5)] * GROUP
ANSWERS = [(4, 5), (EOS,), (4, EOS), (6, 6), (EOS,), (5, 3), (6, EOS), (3, 4)]
REWARD = np.asarray([1, 0, 0.5, 0.5, 0, 1, 1, 0], np.float32)


def test_what_is_read_after_a_draft():
    """Its whole episode, its last token, and the prompt again, where the policy is asked; whichever completion of a slot it is."""
    t = written(PROMPTS, ANSWERS, REWARD, steps=5)
    obs, action = (np.asarray(x) for x in jax.jit(after_drafts, static_argnums=3)(
        t.obs, t.action, completions_of(t, 1), 2))  # fmt: skip
    assert obs.shape == (2, GROUP, 2, 11, 2)
    for n, (prompt, draft) in enumerate(zip(PROMPTS, ANSWERS, strict=True)):
        for which, answer in enumerate((draft, ANSWERS[n ^ 1])):
            before, read = [*prompt, *draft], [*prompt, *answer][:-1]
            token, asked = obs[n // GROUP, n % GROUP, which].T
            total, begun = len(before) + len(read), len(before) + len(prompt) - 1
            np.testing.assert_array_equal(token[:total], [*before, *read])
            np.testing.assert_array_equal(np.flatnonzero(asked), np.arange(begun, total))
            np.testing.assert_array_equal(action[n // GROUP, n % GROUP, which][begun:total], answer)
            assert (token[total:] == PAD).all() and (action[n // GROUP, n % GROUP, which][asked == 0] == PAD).all()  # fmt: skip
    twice = jax.tree.map(lambda x: jnp.concatenate([x, x]), t)
    found = completions_of(
        twice, 3
    )  # the second episode of each slot never ends, the third is the first again
    obs, _ = after_drafts(twice.obs, twice.action, found, 4)
    np.testing.assert_array_equal(obs[0, 0, 0, :7, 0], [BOS, 3, 4, 5, BOS, 3, 4])


def tabular(**changes: Any) -> tuple[Any, Any, Any]:
    """The expected loss on all pairs of completions of two tokens, its closed form, and hyperparameters."""
    config = SequenceConfig("srpo", 2, reference="first", **changes)
    hp = SequenceHyperparameters(beta=0.7, draft_weight=0.3)
    pairs = np.asarray(list(product(range(4), repeat=2)))
    mu = jax.nn.softmax(jnp.asarray(np.random.default_rng(5).normal(size=4)))  # who answered: anyone
    kept_by_reference = np.log(np.random.default_rng(6).dirichlet(np.ones(4), 4)).T  # [revision, draft]
    i, j = pairs.T
    weight, probs, sizes = mu[i] * mu[j], jnp.asarray(PROBS), jnp.arange(1.0, 5.0)
    given = lambda log: jnp.stack([jnp.stack([log[i, i], log[j, i]], 1), jnp.stack([log[j, j], log[i, j]], 1)], 1)  # fmt: skip
    log_revision = lambda x: jax.nn.log_softmax(x, 0)

    def loss(both: Any) -> Any:
        def one(pair: Any, after: Any, reference: Any) -> Any:
            of = lambda table: tokens(table)[pair].T
            flags, zeros = jnp.ones((2, 2), bool), jnp.zeros((2, 2), jnp.int32)
            labels = probs[pair[:, None], pair[None]][None]
            a = Answers(of(REFERENCE), of(REFERENCE), zeros, flags, flags[:1], sizes[pair][None], zeros[:1] * 1.0, labels)  # fmt: skip
            a = dataclasses.replace(a, revisions=Revisions(zeros, zeros, reference[None]))
            return loss_of(config, hp, of(both[0]), jnp.zeros((2, 2)), a, after[None])[0]

        each = jax.vmap(one)(jnp.asarray(pairs), given(log_revision(both[1])), given(kept_by_reference))
        return (weight * each).sum()

    def closed(both: Any) -> Any:
        d = (tokens(both[0]) - tokens(REFERENCE)).sum(1)
        r = log_revision(both[1]) - kept_by_reference
        if config.logp_reduction == "mean":
            d, r = d / sizes, r / sizes[:, None]
        revising = jnp.square(r[i, j] - r[j, j] - (probs[i, j] - 0.5) / 0.7) + jnp.square(r[j, i] - r[i, i] - (probs[j, i] - 0.5) / 0.7)  # fmt: skip
        drafting = jnp.square((d[i] - r[i, i]) - (d[j] - r[j, j]))
        return (weight * (0.7 * revising / 2 + 0.3 * drafting)).sum()

    return loss, closed, kept_by_reference


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_loss_and_gradient_against_enumeration(reduction: Any):
    with jax.enable_x64(True):
        loss, closed, _ = tabular(logp_reduction=reduction)
        rng = np.random.default_rng(7)
        both = (jnp.asarray(rng.normal(size=(3, 2))), jnp.asarray(rng.normal(size=(4, 4))))
        (value, slope), (right, slopes) = (jax.jit(jax.value_and_grad(f))(both) for f in (loss, closed))
        np.testing.assert_allclose(value, right, rtol=1e-6)
        for found, wanted in zip(slope, slopes, strict=True):
            np.testing.assert_allclose(found, wanted, atol=1e-6)
            assert np.abs(wanted).max() > 1e-2


def test_at_rest_both_are_best_responses():
    """The revision of each draft in closed form, and drafts that leave least to be gained: there, and not at the reference, the gradient vanishes."""
    with jax.enable_x64(True):
        loss, _, log_reference = tabular()
        scores = log_reference + PROBS / 0.7
        value = np.log(np.exp(scores).sum(0))  # of each draft to who revises, divided by beta
        best = np.asarray(tokens(REFERENCE)).sum(1) - value
        share = np.exp(best - np.log(np.exp(best).sum())).reshape(2, 2)
        drafts = jnp.log(np.concatenate([share.sum(1)[None], share]))
        slope = jax.jit(jax.grad(loss))
        found = jax.tree.map(lambda x: float(np.abs(x).max()), slope((drafts, jnp.asarray(scores))))
        assert max(found) < 1e-6
        at_reference = slope((jnp.asarray(REFERENCE), jnp.asarray(log_reference)))
        assert np.abs(at_reference[1]).max() > 1e-2
        np.testing.assert_allclose(at_reference[0], 0.0, atol=1e-7)  # at first only who revises learns


def built(**changes: Any) -> Any:
    hp = {"learning_rate": 0.5, "max_grad_norm": np.inf, "draft_weight": 0.25, "beta": 0.8, **changes.pop("hp", {})}  # fmt: skip
    settings = {"group": GROUP, "network": NETWORK, "optimiser": "sgd", **changes}
    config = SequenceConfig("srpo", reference="first", **settings)
    return sequence(ENV, SLOTS, STEPS, config, SequenceHyperparameters(**hp))


@cache
def compiled() -> Any:
    """One update of the learner whose hyperparameters are given."""
    learner = built()
    update = lambda state, t, hp: learner.update(random.key(0), state, t, hp, (), Clock.at(0, 9))
    return learner, jax.jit(learner.init), jax.jit(update)


def moved(reward: Any, **hp: Any) -> tuple[Any, Any, Any]:
    learner, init, update = compiled()
    numbers = traced(dataclasses.replace(learner.default_hp, **hp))
    state = init(random.key(1), numbers)
    after, told = update(state, written(PROMPTS, ANSWERS, reward), numbers)
    return state, jax.tree.map(jnp.subtract, after.params, state.params), told


def said_step_by_step(params: Any, drafts: Any, answers: Any, prompts: Any) -> Any:
    """Log-probabilities of answers after drafts, by acting one token after the other."""
    network = make_network(NETWORK, ENV.observation_space, ENV.action_space)
    read = [[*p, *d, *p, *a][:-1] for p, d, a in zip(prompts, drafts, answers, strict=True)]
    own = [len(r) - len(a) for r, a in zip(read, answers, strict=True)]
    times = range(max(map(len, read)))
    token = np.asarray([[r[min(t, len(r) - 1)] for r in read] for t in times])
    asked = np.asarray([[own[n] <= t < len(r) for n, r in enumerate(read)] for t in times])
    action = [[a[t - own[n]] if asked[t, n] else PAD for n, a in enumerate(answers)] for t in times]
    first = np.arange(len(times)) == 0

    def step(memory: Any, now: Any) -> Any:
        obs, done, begins = now
        begins = jnp.broadcast_to(begins, (len(read),))
        distribution, memory = network.policy(network.actor(params), obs, begins, memory)
        return memory, distribution.log_prob(done)

    given = (jnp.asarray(np.stack([token, asked], -1), jnp.int32), jnp.asarray(action), jnp.asarray(first))
    return jax.lax.scan(step, network.initial_memory(len(read)), given)[1].sum(0)


def test_the_first_step_is_that_of_who_revises():
    """The slope of ``-(1 - w) / beta (label - 1/2) log pi(revision | draft) / pi(draft | draft)``, both ways; of drafts there is none."""
    state, found, told = moved(REWARD)
    others = [ANSWERS[n ^ 1] for n in range(SLOTS)]
    better = np.sign(REWARD[np.arange(SLOTS) ^ 1] - REWARD) / 2

    @jax.jit
    @jax.grad
    def slope(params: Any) -> Any:
        changed, kept = said_step_by_step(params, 2 * ANSWERS, others + ANSWERS, 2 * PROMPTS).reshape(2, -1)
        return -0.75 / 0.8 * (better * (changed - kept)).sum() / (SLOTS // 2)

    for one, wanted in zip(*map(jax.tree.leaves, (found, slope(state.params))), strict=True):
        np.testing.assert_allclose(one, -0.5 * wanted, atol=2e-5)
    assert max(float(jnp.abs(x).max()) for x in jax.tree.leaves(found)) > 1e-2
    assert told["queries"] == SLOTS // 2  # of each pair one
    _, nothing, _ = moved(REWARD, draft_weight=1.0)
    assert all((np.asarray(x) == 0).all() for x in jax.tree.leaves(nothing))


def test_ties_teach_nothing_at_first():
    _, found, told = moved(np.full(SLOTS, 0.5, np.float32))
    assert all((np.asarray(x) == 0).all() for x in jax.tree.leaves(found))
    assert told["loss"] == 0 and told["queries"] == SLOTS // 2


def test_a_pair_of_which_one_is_missing_or_worth_no_number_teaches_nothing():
    reward = np.full(SLOTS, 0.5, np.float32)
    reward[:2] = np.nan, 1.0
    _, found, told = moved(reward)
    assert all((np.asarray(x) == 0).all() for x in jax.tree.leaves(found))
    assert told["queries"] == SLOTS // 2 - 1


def test_seeds_beside_each_other_learn_as_by_themselves():
    learner, init, update = compiled()
    hp = traced(learner.default_hp)
    state, t = jax.vmap(init, (0, None))(jax.random.split(random.key(3), 2), hp), written(PROMPTS, ANSWERS, REWARD)  # fmt: skip
    beside = state
    for _ in range(2):  # in the second, drafts learn as well
        beside, _ = jax.vmap(update, (0, None, None))(beside, t, hp)
    for seed in range(2):
        alone = jax.tree.map(lambda x: x[seed], state)  # noqa: B023
        for _ in range(2):
            alone, _ = update(alone, t, hp)
        for one, both in zip(*map(jax.tree.leaves, (alone.params, beside.params)), strict=True):
            np.testing.assert_allclose(one, both[seed], atol=1e-5)


def test_minibatches_are_of_whole_groups_with_their_revisions():
    t = written(PROMPTS, ANSWERS, REWARD)
    obs, action = after_drafts(t.obs, t.action, completions_of(t, 1), 2)
    revisions = Revisions(obs, action, jnp.arange(16.0).reshape(2, GROUP, 2))
    each = jnp.arange(8.0).reshape(2, GROUP)
    config = dataclasses.replace(built_config(), minibatches=2)
    steps = jnp.broadcast_to(jnp.arange(8.0), (STEPS, SLOTS))
    answers = Answers(steps, steps, steps, steps, each, each, each, revisions=revisions)
    nothing: Any = None
    parts = Parts(config, SLOTS, nothing, nothing, nothing)
    seen, some = _taken(parts, (t.obs,), answers, jnp.asarray([1]))
    np.testing.assert_array_equal(seen[0], t.obs[:, GROUP:])
    np.testing.assert_array_equal(some.old[0], np.arange(4.0, 8.0))
    for found, wanted in zip(*map(jax.tree.leaves, (some.revisions, revisions)), strict=True):
        np.testing.assert_array_equal(found, wanted[1:])


def test_what_is_learned_from_is_what_generation_says():
    """Of a revision that `generate` draws, after a draft that it drew, the learner finds the same probability."""
    learner, init, _ = compiled()
    params = jax.tree.map(lambda x: 3.0 * x, init(random.key(4), traced(learner.default_hp)).params)
    prompts, lengths = jnp.asarray(4 * [[BOS, d] for d in (3, 4, 5, 6)]), jnp.full(16, 2)
    sampling = Sampling(limit=2)
    drafts = generate(SHAPE, params, prompts, lengths, sampling, random.key(5))
    again, whole = revision_prompts(prompts, lengths, drafts)
    revised = generate(SHAPE, params, again, whole, sampling, random.key(6))
    cut = lambda c: [tuple(map(int, x[:n])) for x, n in zip(c.tokens, c.lengths, strict=True)]
    one, two = cut(drafts), cut(revised)
    assert {len(x) for x in one} == {1, 2}  # one of them ends early
    answers = [x for pair in zip(one, two, strict=True) for x in pair]
    t = written([tuple(map(int, p)) for p in np.repeat(prompts, 2, 0)], answers, np.zeros(32))
    read = after_drafts(t.obs, t.action, completions_of(t, 1), 16)
    network = make_network(NETWORK, ENV.observation_space, ENV.action_space)
    found = jax.jit(lambda p: log_probs_after(network, p, *read))(params)
    np.testing.assert_allclose(found[:, 0, 1], revised.log_prob.sum(1), atol=1e-5)
    with pytest.raises(ValueError, match=r"lengths \(3,\) and drafts.lengths \(16,\); these must be"):
        revision_prompts(prompts, lengths[:3], drafts)


@pytest.mark.slow
def test_it_learns_to_draft_and_to_revise():
    config = SequenceConfig("srpo", 8, reference="first", network=NETWORK)
    learner = sequence(ENV, 64, STEPS, config, SequenceHyperparameters(learning_rate=1e-2))
    chunk = make_chunk(learner, vectorize(ENV, 64, params_per_slot=True), STEPS)
    hp = traced(learner.default_hp)
    state = jax.jit(chunk.init)(random.key(1), hp, ENV.params)
    run = jax.jit(chunk.run)
    state, before = run(state, hp, (), ENV.params, jnp.float32(90), jnp.int32(3))
    state, _ = run(state, hp, (), ENV.params, jnp.float32(90), jnp.int32(77))
    state, after = run(state, hp, (), ENV.params, jnp.float32(90), jnp.int32(10))
    assert int(state.diverged) == -1
    assert before["episode_return"] < 0.3 and after["episode_return"] > 0.8
    # A wrong draft is revised: the right digit comes next, far above chance, which is one of seven tokens.
    digits = np.arange(3, 3 + DIGITS)
    wrong = [(int(3 + (d - 1) % DIGITS), EOS) for d in digits]
    right = [(int(3 + (d - 2) % DIGITS), EOS) for d in digits]
    drafted = jnp.asarray([[BOS, d, *w, BOS, d] for d, w in zip(digits, wrong, strict=True)])
    drawn = generate(SHAPE, state.learner.params, drafted, jnp.full(4, 6), Sampling(limit=2, temperature=0), random.key(0))  # fmt: skip
    np.testing.assert_array_equal(drawn.tokens[:, 0], [r[0] for r in right])


def test_the_preset_holds_a_draft_and_its_revision():
    for task in ("countdown", "sum-mod"):
        preset = sequence_preset("srpo", f"token/{task}")
        sequence(make(f"token/{task}"), 64, preset.rollout_length, preset.config, preset.hp)
    unread = set(SEQUENCES["srpo"].unread)
    assert {"hp.mixture", "hp.label_noise", "learner.past", "learner.worth"} <= unread
    assert "hp.draft_weight" in SEQUENCES["dpo"].unread and not {"hp.beta", "hp.draft_weight"} & unread


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"group": 3}, "group is 3 with completions 1, but loss is 'srpo'"),
        ({"reference": "rollout"}, "reference is 'rollout', but loss is 'srpo'"),
        ({"mixed": "half", "worth": "preference"}, "the loss none of pairs"),
        ({"network": NetworkConfig()}, "learner.network.kind is 'actor-critic', but the loss is 'srpo'.* in following; it must be 'decoder'"),
        (
            {"network": NetworkConfig(kind="decoder", decoder=dataclasses.replace(SHAPE, context=6))},
            "learner.network.decoder.context is 6; it must be at least 7, what a draft and its revision of up to 3 steps each take",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_revised_is_refused(changes: Any, message: str):
    with pytest.raises(ValueError, match=message):
        sequence(ENV, 8 * 3, STEPS, SequenceConfig(**{"loss": "srpo", "reference": "first", "network": NETWORK, **changes}))  # fmt: skip
    with pytest.raises(ValueError, match="draft_weight"):
        sequence(ENV, SLOTS, STEPS, built_config(), SequenceHyperparameters(draft_weight=1.5))


def built_config() -> SequenceConfig:
    return SequenceConfig("srpo", GROUP, reference="first", network=NETWORK)


def test_where_no_completion_ended_nothing_is_learned():
    config = SequenceConfig("srpo", 4, reference="first")
    log_prob, answers = some_answers(config)
    pairs = jnp.zeros((3, 4, 2))
    none = dataclasses.replace(answers, labels=jnp.full_like(answers.labels, jnp.nan), revisions=Revisions(pairs, pairs, pairs))  # fmt: skip
    loss = lambda x, y: loss_of(config, SequenceHyperparameters(), x, jnp.zeros_like(x), none, y)[0]
    value, slope = jax.jit(jax.value_and_grad(loss, (0, 1)))(log_prob, pairs + 1.0)
    assert value == 0 and all((np.asarray(x) == 0).all() for x in slope)
