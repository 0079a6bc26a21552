"""The game of tokens: prompts that stay, arms, limits, vocabularies, what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl_envs import make
from jaxrl_envs.token import BOS, EOS, PAD, Vocabulary, find_task, from_task, score
from jaxrl_envs.token.sum_mod import WORDS


def ids(text):
    return find_task("sum-mod").vocabulary.tokens(text)


def test_a_fixed_prompt_stays_and_a_fresh_one_changes():
    env = make("token/sum-mod", numbers=8)
    keys = jax.random.split(jax.random.key(5), 16)
    start = jax.jit(jax.vmap(lambda key, params: env.reset(key, params)[1].prompt, (0, None)))
    fresh, drawn = start(keys, env.params), jax.vmap(env.sample_params)(keys)
    fixed = [start(keys, jax.tree.map(lambda x, i=i: x[i], drawn)) for i in range(3)]
    different = lambda prompts: len(np.unique(np.asarray(prompts), axis=0))
    assert different(fresh) == 16
    assert [different(prompts) for prompts in fixed] == [1, 1, 1]
    assert different(jnp.stack([prompts[0] for prompts in fixed])) == 3
    seeded = [make("token/sum-mod", level_seed=seed).params for seed in (4, 4, 5)]
    assert not seeded[0].fresh
    assert [np.array_equal(seeded[0].instance, other.instance) for other in seeded] == [True, True, False]


def test_a_fixed_prompt_does_not_depend_on_the_kind_of_keys():
    env = make("token/sorting", level_seed=3)
    prompts = [
        env.reset(jax.random.key(0, impl=kind), env.params)[1].prompt for kind in ("threefry2x32", "rbg")
    ]
    np.testing.assert_array_equal(*prompts)


def test_arms_are_difficulties_with_prompts_that_stay():
    env = make("token/countdown", well_formed=0.25)
    assert env.arms.names == ("numbers 3", "numbers 4", "numbers 5")
    params = jax.vmap(env.arms.sample)(jax.random.split(jax.random.key(0), 3), jnp.arange(3))
    assert params.knobs.numbers.tolist() == [3, 4, 5] and not params.fresh.any()
    assert params.knobs.well_formed.tolist() == [0.25] * 3
    assert len(np.unique(params.instance, axis=0)) == 3


def test_actions_are_ignored_until_they_are_asked_for_and_the_limit_cuts():
    env = make("token/sum-mod", answer_limit=5, level_seed=1)
    step = jax.jit(env.step)
    runs = []
    for noise in (EOS, 7):
        (obs, state), shown = env.reset(jax.random.key(0), env.params), []
        while not obs[1]:
            out = step(jax.random.key(0), state, jnp.asarray(noise, jnp.int32), env.params)
            assert not out.terminated and out.reward == 0 and out.info["answer_length"] == 0
            shown.append(int(obs[0]))
            obs, state = out.obs, out.state
        runs.append([*shown, int(obs[0])])
        assert WORDS.text(runs[-1]).endswith("% 1 0 =")
    assert runs[0] == runs[1]
    for i in range(5):
        out = step(jax.random.key(0), state, jnp.asarray(BOS, jnp.int32), env.params)
        state = out.state
        assert out.obs.tolist() == [BOS, 1] and out.terminated == out.info["cut"] == (i == 4)
        assert out.info["answer_length"] == i + 1 and not out.info["success"] and not out.truncated


def test_whole_completions_are_scored_as_at_the_end_of_an_episode():
    task = find_task("token/sum-mod")
    knobs = jax.tree.map(jnp.asarray, task.knobs)
    prompt, secret = task.draw(jax.random.key(2), knobs)
    terms = WORDS.text(prompt.tokens).replace(" ", "").removeprefix("<bos>").partition("%")[0]
    answer = str(sum(map(int, terms.split("+"))) % 10)
    for text, right in ((answer, True), (f"{answer}{answer}", False), (f"0{answer}", False), ("", False)):
        tokens = np.zeros(4, np.int32)
        tokens[: len(text)] = ids(text)
        verdict = score(task, secret, jnp.asarray(tokens), jnp.asarray(len(text), jnp.int32), knobs)
        assert bool(verdict.success) == right and float(verdict.reward) == float(right)


def test_vocabularies_read_what_they_write():
    words = find_task("refusal").vocabulary
    everything = np.arange(1, words.size)
    np.testing.assert_array_equal(words.tokens(words.text(everything)), everything)
    assert words.text([BOS, PAD, *ids("12"), EOS, PAD]) == "<bos> 1 2 <eos>"
    assert words.tokens(" 3+?  <refuse>").tolist() == [
        words.token(name) for name in ("3", "+", "?", "<refuse>")
    ]
    with pytest.raises(ValueError, match="no token's name fits 'x9' of '3x9'"):
        words.tokens("3x9")
    with pytest.raises(ValueError, match=r"there is no token 'refuse'; did you mean '<refuse>'"):
        words.token("refuse")
    with pytest.raises(ValueError, match="99 is no token; they are 0 to 17"):
        words.text([99])
    with pytest.raises(ValueError, match="begins with <pad>, <eos>, <bos>"):
        Vocabulary(("a", "b", "c"))
    with pytest.raises(ValueError, match="distinct and without spaces"):
        Vocabulary(("<pad>", "<eos>", "<bos>", "a", "a"))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("sum-mod", {"number": 3}, "token/sum-mod has no option 'number'; did you mean 'numbers'"),
        ("sum-mod", {"numbers": 9}, "numbers of token/sum-mod is 9; it must be from 2 to 8"),
        ("countdown", {"highest": 101}, "highest of token/countdown is 101; it must be from 1 to 100"),
        ("countdown", {"numbers": 2.5}, "numbers is 2.5; it must be int32"),
        (
            "countdown",
            {"well_formed": float("nan")},
            "well_formed of token/countdown is nan; it must be from 0 to 1",
        ),
        (
            "sorting",
            {"answer_limit": 4},
            "answer_limit of token/sorting is 4; it must be a whole number from 17",
        ),
        ("sorting", {"answer_limit": True}, "answer_limit of token/sorting is True"),
        ("summary", {"hackable": 1}, "hackable is 1; it must be bool"),
        ("arc-1d", {"rule": 13}, "rule of token/arc-1d is 13; it must be from -1 to 12"),
        ("refusal", {"level_seed": 0.5}, "level_seed is 0.5; it must be int32"),
        ("refusal", {"hidden": 1.0000001}, "hidden of token/refusal is 1.00000012; it must be from 0 to 1"),
        (
            "sum-mod",
            {"level_seed": 2**31},
            "level_seed is 2147483648; it must be a whole number from -2147483648",
        ),
        ("sum-mod", {"modulus": 2**32 + 10}, "modulus is 4294967306; it must be a whole number from"),
        ("sum-mod", {"numbers": 1e30}, r"numbers is 1e\+30; it must be a whole number from"),
    ],
)
def test_what_is_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        make(f"token/{name}", **options)


def test_what_a_task_tells_has_names_of_its_own_and_a_length_is_a_number():
    task = find_task("sum-mod")
    with pytest.raises(
        ValueError, match="told of token/mine has 'cut', which every task of tokens tells itself"
    ):
        from_task(task._replace(told=("cut",)), "token/mine")
    env = from_task(task._replace(longest=lambda knobs: float("nan")), "token/mine")
    with pytest.raises(ValueError, match="longest of token/mine is nan; it must be a number of tokens"):
        env.longest(env.params)


def test_unknown_tasks_are_named():
    with pytest.raises(ValueError, match=r"there is no task 'countdwn'; did you mean 'countdown'"):
        find_task("countdwn")


@pytest.mark.parametrize("name", ["sum-mod", "countdown"])
def test_a_teacher_writes_the_solution_whatever_the_actions(name):
    env = make(f"token/{name}", taught=True)

    def play(key):
        key_reset, key_play = jax.random.split(key)

        def step(carry, key):
            state, over = carry
            out = env.step(key, state, env.action_space.sample(key), env.params)
            told = (
                out.info["success"] & ~over,
                out.info["cut"] & ~over,
                out.info["taught"],
                out.info["asked"] & ~over,
                out.obs[0],
            )
            return (out.state, over | out.terminated), told

        start = (env.reset(key_reset, env.params)[1], jnp.bool_(False))
        (_, over), told = jax.lax.scan(step, start, jax.random.split(key_play, 64))
        return over, told

    over, (success, cut, taught, asked, shown) = jax.jit(jax.vmap(play))(
        jax.random.split(jax.random.key(0), 32)
    )
    assert over.all() and (success.sum(1) == 1).all() and not cut.any()
    np.testing.assert_array_equal(shown[asked], taught[asked])
    assert (np.asarray(taught)[np.asarray(success)] == EOS).all()
    with pytest.raises(ValueError, match=f"taught of token/{name} is 1; it must be True or False"):
        make(f"token/{name}", taught=1)
