"""Learners of whole completions where something is wrong: nobody ends, numbers are none, verifiers fail, sizes do not fit."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import walk
from test_sequence import ENV, LENGTH, built, some_answers, trajectory

import jaxrl_envs
from jaxrl_envs import Box, make, variants
from jaxrl_envs.contract import TAUGHT
from jaxrl_envs.token import find_task, from_task
from jaxrl_evolve import random
from jaxrl_evolve.algorithms.sequence import METHODS, SEQUENCES, sequence_preset
from jaxrl_evolve.clock import Clock
from jaxrl_evolve.curricula.arms.arms import arms_of
from jaxrl_evolve.experience.completions import completions_of
from jaxrl_evolve.learners.learner import traced
from jaxrl_evolve.learners.sequence import sequence, step_of
from jaxrl_evolve.learners.sequence_acting import Parts, SequenceState, init_state
from jaxrl_evolve.learners.sequence_answers import answers_of
from jaxrl_evolve.learners.sequence_config import SequenceConfig, SequenceHyperparameters
from jaxrl_evolve.learners.sequence_losses import advantages, loss_of
from jaxrl_evolve.learners.spo_environment import example_of, judge
from jaxrl_evolve.networks.config import NetworkConfig
from jaxrl_evolve.networks.table import make_network
from jaxrl_evolve.preferences.count import Count
from jaxrl_evolve.preferences.episodes import Watch
from jaxrl_evolve.training.config import TrainConfig
from jaxrl_evolve.training.experiment import build
from jaxrl_evolve.training.held_out import _check_contexts
from jaxrl_evolve.training.parts import check_context
from jaxrl_evolve.training.start import _check_fit


@pytest.mark.parametrize("method", [m for m in METHODS if m != "srpo"])
def test_where_no_completion_ended_nothing_is_learned(method: str):
    settings, hp = METHODS[method][1:]
    config = SequenceConfig(group=4, **settings)
    log_prob, answers = some_answers(config)
    nobody, none = jnp.zeros_like(answers.whole), jnp.zeros_like(answers.asked)
    answers = dataclasses.replace(
        answers,
        whole=nobody,
        asked=none,
        number=jnp.ones_like(answers.number),
        length=jnp.zeros_like(answers.length),
        worth=jnp.zeros_like(answers.worth),
        labels=jnp.full_like(answers.labels, jnp.nan),
    )
    numbers = SequenceHyperparameters(**hp)
    loss = lambda x: loss_of(config, numbers, x, jnp.zeros_like(x), answers)[0]
    value, slope = jax.value_and_grad(loss)(log_prob)
    assert value == 0 and (np.asarray(slope) == 0).all()


@pytest.mark.parametrize("method", [m for m in METHODS if m != "srpo"])
def test_where_nobody_differs_rounding_teaches_nothing(method: str):
    """A rollout that is read says what acting said to rounding, of which Adam would make whole steps."""
    settings, hp = METHODS[method][1:]
    config = SequenceConfig(group=4, **settings)
    if config.loss == "imitate" or config.advantage == "half":
        return  # who imitates compares nobody, and Nash-MD compares with others
    log_prob, answers = some_answers(config)
    answers = dataclasses.replace(
        answers, worth=jnp.full_like(answers.worth, 0.5), labels=jnp.full_like(answers.labels, 0.5)
    )
    rounded = log_prob + 4e-6 * np.random.default_rng(3).normal(size=log_prob.shape).clip(-2, 2)
    numbers = SequenceHyperparameters(**hp)
    loss = lambda x: loss_of(config, numbers, x, jnp.zeros_like(x), answers)[0]
    assert (np.asarray(jax.grad(loss)(rounded)) == 0).all()


@pytest.mark.parametrize("kind", ["standard", "mean", "leave_one_out"])
def test_worths_that_are_all_the_same_have_no_advantage(kind: str):
    """Whatever they are: their mean in float32 may be another number."""
    ask = jax.jit(advantages, static_argnums=0)
    for members in (3, 6, 7, 9):
        worth = np.repeat(np.linspace(-100, 100, 2_001, dtype=np.float32)[:, None], members, 1)
        there = np.ones(worth.shape, bool)
        assert (np.asarray(ask(kind, worth, there)) == 0).all()
    apart = np.asarray(ask(kind, np.float32([[1, 1, 0]]), np.ones((1, 3), bool)))
    assert (apart[0, :2] > 0).all() and apart[0, 2] < 0


def test_a_reward_that_is_no_number_is_no_tie():
    """The loss is none, so that the run ends and says so; of a completion that there is not nothing is read."""
    config = SequenceConfig(group=4, **METHODS["grpo"][1])
    log_prob, answers = some_answers(config)
    spoiled = dataclasses.replace(answers, worth=answers.worth.at[1, 2].set(jnp.nan))
    absent = dataclasses.replace(spoiled, whole=answers.whole.at[1, 2].set(False))
    loss = lambda given: loss_of(
        config, SequenceHyperparameters(), log_prob, jnp.zeros_like(log_prob), given
    )[0]
    assert jnp.isnan(loss(spoiled)) and jnp.isfinite(loss(absent)) and jnp.isfinite(loss(answers))
    learner, _ = built("dpo", minibatches=1)
    hp, t = traced(learner.default_hp), rollout()
    state = learner.init(random.key(1), hp)
    update = jax.jit(lambda t: learner.update(random.key(0), state, t, hp, (), Clock.at(0, 9))[1]["loss"])
    assert jnp.isfinite(update(t))
    assert jnp.isnan(update(dataclasses.replace(t, reward=t.reward.at[0, 3].set(jnp.nan))))


def rollout() -> Any:
    """Of 32 slots that do whatever there is first, at different places; some are rewarded."""
    rng = np.random.default_rng(4)
    flags = np.arange(LENGTH)[:, None] == np.asarray([0, LENGTH - 1])[:, None, None]
    first, ended = np.broadcast_to(flags, (2, LENGTH, 32))
    reward = np.float32(rng.random((LENGTH, 32)) < 0.5)
    obs = jnp.asarray(rng.random((LENGTH, 32, ENV.observation_space.shape[0])), jnp.float32)
    t = trajectory(first, ended, reward, np.ones((LENGTH, 32), bool))
    return dataclasses.replace(t, obs=obs, next_obs=obs, action=jnp.zeros((LENGTH, 32), jnp.int32))


def test_a_seed_whose_log_probabilities_are_no_numbers_ends_alone():
    """Its loss is none, so the run is rolled back and diverges (`tests/training/test_train.py`); its neighbour learns as it would by itself."""
    learner, _ = built("grpo", minibatches=1)
    hp, t = traced(learner.default_hp), rollout()
    update = lambda state: learner.update(random.key(0), state, t, hp, (), Clock.at(0, 9))
    state = learner.init(random.key(1), hp)
    pair = jax.tree.map(lambda x: jnp.stack([x, x]), state)
    spoiled = dataclasses.replace(pair, params=jax.tree.map(lambda x: x.at[0].set(jnp.nan), pair.params))
    clean, both = (jax.jit(jax.vmap(update))(s) for s in (pair, spoiled))
    assert np.isnan(both[1]["loss"][0]) and np.isfinite(both[1]["loss"][1])
    for alone, beside in zip(*map(jax.tree.leaves, (clean[0].params, both[0].params)), strict=True):
        np.testing.assert_array_equal(alone[1], beside[1])
    moved = jax.tree.map(lambda new, old: np.abs(new[1] - old).max(), both[0].params, state.params)
    assert max(map(float, jax.tree.leaves(moved))) > 0


TINY = walk.config("grpo", learner={"group": 2})


class Overdue(Exception):
    """What a verifier raises here."""


def failing(memory: Any, length: Any, secret: Any, knobs: Any) -> Any:
    raise Overdue("the verifier is away")


def lenient(**options: Any) -> Any:
    return from_task(find_task("sum-mod")._replace(judge=failing), "token/lenient", **options)


def test_a_verifier_that_raises_is_named_before_anything_runs(request: pytest.FixtureRequest):
    name = "token/lenient"
    jaxrl_envs.register(name, lenient, replace=True)
    request.addfinalizer(lambda: jaxrl_envs.registry._registered.pop(name))
    preset = sequence_preset("grpo", name)
    with pytest.raises(ValueError, match=r"lenient.*failed with Overdue: the verifier is away") as caught:
        build(dataclasses.replace(TINY, env=name, learner=preset.config))
    assert "\n" not in str(caught.value)


def decoder(context: int) -> SequenceConfig:
    config = sequence_preset("grpo", "token/sum-mod").config
    network = dataclasses.replace(
        config.network, decoder=dataclasses.replace(config.network.decoder, context=context)
    )
    return dataclasses.replace(config, network=network)


def test_a_context_holds_the_longest_episode():
    """Of the environment's own difficulty, or of all arms where a curriculum chooses among these."""
    env = make("token/sum-mod")  # <bos> 3 + 4 + 5 % 1 0 =, two digits, <eos>
    check_context(decoder(12), env, None)
    message = "^learner.network.decoder.context is 11; it must be at least 12, the steps of the longest episode of token/sum-mod$"
    with pytest.raises(ValueError, match=message):
        check_context(decoder(11), env, None)
    in_an_arm = "context is 12; it must be at least 18, .* episode of token/sum-mod in the arm 'numbers 6'$"
    with pytest.raises(ValueError, match=in_an_arm):
        check_context(decoder(12), env, env.arms)
    limited = dataclasses.replace(env, longest=None, params={"max_steps": np.int32(40)})
    with pytest.raises(ValueError, match="context is 39; it must be at least 40"):
        check_context(decoder(39), limited, None)
    check_context(decoder(1), dataclasses.replace(env, longest=None), None)  # nobody knows
    for task in ("sum-mod", "sorting", "countdown", "zebra", "summary", "refusal"):
        env = make(f"token/{task}")
        check_context(sequence_preset("grpo", f"token/{task}").config, env, env.arms)
    with pytest.raises(ValueError, match="it must be at least 12"):
        build(dataclasses.replace(TINY, env="token/sum-mod", learner=decoder(11)))


@pytest.mark.parametrize(
    ("task", "options", "arms", "length", "context", "message"),
    [
        ("sum-mod", {}, "numbers=2,3", 12, 12, ""),
        ("sum-mod", {"numbers": "2"}, "numbers=2,8", 22, 18, "context is 18; it must be at least 22"),
        ("sum-mod", {"numbers": "2"}, "numbers=2,8", 18, 22, "rollout_length is 18; it must be at least 22"),
        ("sum-mod", {"numbers": "2"}, "", 12, 24, "length is 12; .* at least 18, .* in the arm 'numbers 6'"),
        ("arc-1d", {"shown": "0"}, "shown=0,3", 118, 82, "context is 82; it must be at least 118"),
        ("arc-1d", {}, "shown=0,1,3", 118, 118, ""),
    ],
)
def test_contexts_and_rollouts_hold_the_episodes_of_the_arms_that_are_given(
    task, options, arms, length, context, message
):
    config = dataclasses.replace(
        TrainConfig.preset("grpo", f"token/{task}", env_options=options, num_envs=8, rollout_length=length),
        learner=decoder(context),
        curriculum="sec",
        curriculum_options={"arms": arms} if arms else {},
    )
    if not message:
        build(config)
        return
    with pytest.raises(ValueError, match=message) as caught:
        build(config)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "arms", "message"),
    [
        ("token/countdown", "highest=0,9", "arms: highest of token/countdown is 0; it must be from 1 to 100"),
        ("token/countdown", "well_formed=5", "arms: well_formed of token/countdown is 5; .* from 0 to 1"),
        ("token/arc-1d", "shown=0,5", "arms: shown of token/arc-1d is 5; it must be from 0 to 3"),
        ("token/zebra", "houses=3,9", "arms: houses of token/zebra is 9; it must be from 3 to 6"),
        (
            "chain/delayed-short",
            "length=0,5",
            "arms: length of chain/delayed-short is 0; it must be from 1 to",
        ),
        ("point/sectors", "drag=0.5,2", "arms: drag of .* is 2; it must be between 0 and 1"),
    ],
)
def test_an_arm_is_a_task_that_there_is(name, arms, message):
    with pytest.raises(ValueError, match=message):
        arms_of(make(name), arms)
    wrapped = variants(make(name), ("one", "other"))
    assert wrapped.check_params is not None
    wrapped.check_params(wrapped.params)


def test_a_teacher_answers_with_actions():
    """One number where an action is two would be learned as both."""
    env = make("point/sectors")

    def taught(shape: tuple[int, ...]) -> jaxrl_envs.Env:
        def step(*given: Any) -> Any:
            out = env.step(*given)
            return out._replace(info={**out.info, TAUGHT: jnp.zeros(shape, jnp.float32)})

        return dataclasses.replace(env, step=step)

    config = sequence_preset("imitation", env.name).config
    assert sequence(taught((2,)), 8, 20, config).whole
    message = r"info\['taught'\] of point/sectors is float32 of shape \(1,\); it must be float32 of shape \(2,\), an action"
    with pytest.raises(ValueError, match=message):
        sequence(taught((1,)), 8, 20, config)


def test_agents_are_tested_without_their_teacher():
    """Of the same prompts; before anything is learned next to nothing is right, though every episode of training is."""
    preset = sequence_preset("imitation", "token/sum-mod")
    config = TrainConfig.preset("imitation", "token/sum-mod", env_options={"taught": "True", "numbers": "2"})
    config = dataclasses.replace(
        config, num_envs=8, learner=dataclasses.replace(preset.config, network=decoder(16).network)
    )
    experiment = build(config)
    alone = experiment.tested
    assert alone is not experiment.env and jax.tree.structure(alone.params) == jax.tree.structure(
        experiment.env.params
    )
    jax.tree.map(np.testing.assert_array_equal, alone.params, experiment.env.params)
    state = experiment.learner.init(random.key(0), traced(experiment.learner.default_hp))
    found = experiment.evaluation(64, 12, "sample")(random.key(1), state, alone.params)
    assert np.mean(found.returns) < 0.3
    limited = dict(config.env_options) | {"wrappers": "time_limit:20+scale_rewards:0.5"}
    wrapped = build(dataclasses.replace(config, env_options=limited))
    found = wrapped.evaluation(64, 12, "sample")(random.key(1), state, wrapped.env.params)
    assert np.mean(found.returns) < 0.3  # in wrappers, too
    untaught = build(dataclasses.replace(TINY, env="token/sum-mod", learner=decoder(18), num_envs=8))
    assert untaught.tested is untaught.env


def test_while_a_teacher_is_imitated_nothing_is_mixed_or_compared():
    config = sequence_preset("imitation", "token/sum-mod").config
    for change in ({"mixed": "all", "reference": "first"}, {"worth": "preference"}):
        name = next(iter(change))
        with pytest.raises(ValueError, match=f"^{name} is .*, but loss is 'imitate'"):
            dataclasses.replace(config, **change)
    assert "learner.mixed" in SEQUENCES["imitation"].unread


def test_weights_of_another_vocabulary_do_not_fit():
    states = []
    for task in ("sum-mod", "sorting"):
        env = make(f"token/{task}")
        learner = sequence(env, 8, 24, decoder(32))
        states.append(jax.eval_shape(learner.init, random.key(0), traced(learner.default_hp)))
    with pytest.raises(ValueError, match=r"does not fit: params.*embedding is float32\[\d+, 64\] there"):
        _check_fit("start is 'runs/a'", dataclasses.replace(states[1], params=states[0].params), states[1])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"group": 1}, "group is 1"),
        (
            {"loss": "ipo", "past": "before", "mixed": "past", "group": 2},
            "mixed is 'past' with group 2; halves of",
        ),
        ({"loss": "ipo", "mixed": "past"}, "mixed is 'past' with loss 'ipo' and past 'none'"),
        (
            {"loss": "dpo", "past": "before", "extragradient": True},
            "extragradient is True with loss 'dpo' and past 'before'",
        ),
        (
            {"loss": "ipo", "past": "before", "extragradient": True, "mixed": "past"},
            "one of them looks ahead already",
        ),
        ({"loss": "sppo", "axes": (1.0,)}, "axes is .1.0,., but the loss sppo reads no advantage"),
    ],
)
def test_settings_that_do_not_go_together(settings: Any, message: str):
    with pytest.raises(ValueError, match=message):
        SequenceConfig(**settings)


def test_weights_are_as_many_as_criteria():
    with pytest.raises(ValueError, match=r"learner.axes has 2 weights, .* each of the 3 criteria"):
        sequence(ENV, 32, LENGTH, SequenceConfig(group=4, axes=(1.0, 0.5)))


def test_advantages_by_criterion_are_added_up():
    """Returns and lengths each against their group's own, whatever their units; or the shares of the group that are below."""
    rng = np.random.default_rng(0)
    reward = rng.normal(size=(LENGTH, 8)).astype(np.float32)
    first, ended = np.zeros((2, LENGTH, 8), bool)
    first[0], ended[-1] = True, True
    ended[1, ::2], first[2, ::2] = True, True
    t = trajectory(first, ended, reward, np.ones(reward.shape, bool))
    t = dataclasses.replace(
        t,
        obs=jnp.zeros((LENGTH, 8, 2)),
        next_obs=jnp.zeros((LENGTH, 8, 2)),
        action=jnp.zeros((LENGTH, 8), jnp.int32),
    )
    returns = np.where(np.arange(8) % 2, reward.sum(0), reward[:2].sum(0)).reshape(2, 4)
    lengths = np.where(np.arange(8) % 2, LENGTH, 2.0).reshape(2, 4)
    net = make_network(NetworkConfig(hidden=(4,)), Box(0.0, 1.0, (2,)), ENV.action_space)
    nothing: Any = ()  # nobody's parameters are read
    state = SequenceState(nothing, nothing, nothing, jnp.int32(0), Count.none())

    def slopes(config: SequenceConfig, t: Any) -> Any:
        parts = Parts(config, 8, net, None, Watch(LENGTH))
        answers, _ = answers_of(parts, random.key(0), state, t, completions_of(t, 1))
        of = lambda x, a: loss_of(config, SequenceHyperparameters(), x, jnp.zeros_like(x), a)[0]
        tied = dataclasses.replace(answers, axes=jnp.ones_like(answers.axes))
        return [jax.grad(of)(jnp.zeros((LENGTH, 8)), a)[0] for a in (answers, tied)]

    for worth in ("reward", "preference"):
        config = SequenceConfig("reinforce", 4, worth=worth, axes=(2.0, 0.0, -0.5), aggregate="sum")
        assert not config.asks
        slope, tied = jax.jit(slopes, static_argnums=0)(config, t)
        kinds = []
        for values in (returns, lengths):
            if worth == "preference":
                more, same = values[:, :, None] > values[:, None], values[:, :, None] == values[:, None]
                values = (more + 0.5 * same - 0.5 * np.eye(4)).sum(2) / 3
            kinds.append((values - values.mean(1, keepdims=True)) / values.std(1, keepdims=True))
        np.testing.assert_allclose(slope.reshape(2, 4), -(2 * kinds[0] - 0.5 * kinds[1]) / 8, atol=1e-5)
        assert (np.asarray(tied) == 0).all()


@pytest.mark.parametrize("kind", ["line", "root"])
def test_the_step_of_sppo_falls_on_the_clock(kind: Any):
    config = SequenceConfig("sppo", worth="preference", eta_schedule=kind)
    at = lambda when, end: float(
        step_of(config, SequenceHyperparameters(eta=2.0, eta_end=end), Clock.at(when, 100))
    )
    assert at(0, 0.25) == pytest.approx(2.0) and at(100, 0.25) == pytest.approx(0.5)
    middle = {"line": 2.0 * (1 - 0.5 * 0.75), "root": 2.0 / np.sqrt(1 + 0.5 * 15)}[kind]
    assert at(50, 0.25) == pytest.approx(middle) and at(50, 1.0) == pytest.approx(2.0)
    assert at(0, 0.0) == pytest.approx(2.0) and at(100, 0.0) == 0.0


def test_every_second_update_is_made_from_the_policy_before():
    """With steps of size 0 each update shows where it began; and the policy before is kept."""
    learner, _ = built("egpo", minibatches=1)
    hp = dataclasses.replace(traced(learner.default_hp), learning_rate=jnp.float32(0))
    t = rollout()
    clock, same = Clock.at(0, 9), lambda a, b: all(map(np.array_equal, *map(jax.tree.leaves, (a, b))))
    update = jax.jit(lambda state: learner.update(random.key(0), state, t, hp, (), clock)[0])
    state = jax.jit(learner.init)(random.key(1), hp)
    before = jax.tree.map(lambda x: x + 1.0, state.params)
    past = dataclasses.replace(state.past, actor=before)
    for updates, begins in ((0, state.params), (1, before)):
        after = update(dataclasses.replace(state, past=past, updates=jnp.int32(updates)))
        assert same(after.params, begins) and same(after.past.actor, state.params)


def test_the_second_half_answers_by_the_policy_before():
    learner, _ = built("omwu")
    state = jax.jit(learner.init)(random.key(0), traced(learner.default_hp))
    before = jax.tree.map(lambda x: -99.0 * x, state.params)
    other = dataclasses.replace(state, past=dataclasses.replace(state.past, actor=before))
    obs = jax.vmap(ENV.observation_space.sample)(jax.random.split(random.key(1), 32))
    acts = lambda state: np.asarray(
        learner.act(
            learner.actor(state),
            obs,
            jnp.ones(32, bool),
            learner.initial_memory(32),
            random.key(2),
            "explore",
        )[0]
    )
    half = np.arange(32) % 4 >= 2
    mine = acts(state)
    alone = acts(dataclasses.replace(other, params=before))
    assert (mine != alone).any()
    np.testing.assert_array_equal(acts(other), np.where(half, alone, mine))
    assert learner.adopt is not None
    taken = learner.adopt(state, dataclasses.replace(state, params=before))
    assert jax.tree.all(jax.tree.map(jnp.array_equal, taken.past.actor, before))


def test_whoever_is_only_compared_with_teaches_nothing():
    """Not by a divergence either: those answers are not the policy's own."""
    config = SequenceConfig(
        **METHODS["nash-md"][1] | {"kl": "reward_to_go"}, group=4, network=NetworkConfig(hidden=(4,))
    )
    watch, hp = Watch(LENGTH), traced(SequenceHyperparameters(kl_coef=0.5, entropy_coef=0.1))
    net = make_network(config.network, ENV.observation_space, ENV.action_space)
    parts = Parts(config, 32, net, judge(config, None, watch, example_of(ENV, 32)), watch)
    t = rollout()

    @jax.jit
    def slope() -> Any:
        answers, _ = answers_of(
            parts, random.key(0), init_state(parts, random.key(1), hp), t, completions_of(t, 1)
        )
        of = lambda x: loss_of(config, hp, x, jnp.sin(x), answers)[0]
        return jax.grad(of)(answers.old - 1.0)

    moved = np.abs(slope()).reshape(LENGTH, 8, 4).max((0, 1))
    np.testing.assert_array_equal(moved[2:], 0.0)
    assert (moved[:2] > 0).all()


@pytest.mark.parametrize(
    ("method", "length", "options", "hp", "message"),
    [
        ("grpo", 8, {}, {}, "rollout_length is 8; it must be at least 9, the steps of the longest episode"),
        ("grpo", 9, {"taught": True}, {}, "loss is 'clip', but in .* a teacher answers"),
        ("imitation", 9, {}, {}, "loss is 'imitate', but nobody is to be imitated"),
        ("ipo", 9, {}, {"past_mixture": 0.5}, "past_mixture is 0.5, but learner.past is 'none'"),
        ("mnpo", 9, {}, {"mixture": 0.75}, "mixture is 0.75 and hp.past_mixture 0.375; together"),
    ],
)
def test_what_would_learn_nothing_or_something_else_is_refused(
    method: str, length: int, options: Any, hp: Any, message: str
):
    env = make("token/sum-mod", numbers=2, modulus=5, **options)
    preset = sequence_preset(method, "token/sum-mod")
    with pytest.raises(ValueError, match=message):
        sequence(env, 64, length, preset.config, dataclasses.replace(preset.hp, **hp))


@pytest.mark.parametrize(
    ("method", "what"), [("imitation", "loss is 'imitate'"), ("ipo-md", "mixed is 'all'")]
)
def test_no_divergence_of_what_others_drew(method: str, what: str):
    settings = {"reference": "first", **METHODS[method][1], "kl": "reinforce"}
    with pytest.raises(ValueError, match=f"kl is 'reinforce', but {what}"):
        SequenceConfig(**settings)


def test_rollouts_of_imitation_hold_a_whole_episode_wherever_they_begin():
    for task in ("arc-1d", "countdown", "sum-mod"):
        preset = sequence_preset("imitation", f"token/{task}")
        assert preset.rollout_length == 2 * preset.config.network.decoder.context


def test_evaluation_asks_for_no_more_than_the_context_holds():
    settings, env = decoder(20), make("token/sum-mod")
    long, message = make("token/sum-mod", numbers=8), "context is 20; it must be at least 22"
    _check_contexts(settings, env, [env], None)
    with pytest.raises(ValueError, match=message):
        _check_contexts(settings, env, [env, long], None)
    with pytest.raises(ValueError, match="context is 12; it must be at least"):
        _check_contexts(decoder(12), env, [], env.arms)
