"""Tasks of tokens: right answers are rewarded, others get what scorers in plain Python say that read prompts as text."""

import ast
import functools
import operator
import re
from fractions import Fraction

import jax
import numpy as np
import pytest
from token_player import PROMPTS, Player, programs

from jaxrl_envs import available, check_env, make
from jaxrl_envs.token import refusal, summary


@functools.cache
def player(name):
    return Player(name)


@pytest.mark.parametrize("name", available("token"))
def test_contract(name):
    check_env(make(name), steps=60 if name != "token/arc-1d" else 90, eager=name == "token/sorting")


@pytest.mark.parametrize("name", available("token"))
def test_episodes_show_the_prompt_then_the_completion(name):
    p = player(name)
    played = p.play(p.right)
    for i, (prompt, answer) in enumerate(zip(played.prompts, p.right, strict=True)):
        n, m = int(played.lengths[i]), len(answer)
        cut = m == p.task.answer_limit
        tokens = [*prompt[:n], *answer][: n + m - cut]
        np.testing.assert_array_equal(played.shown[i, : len(tokens), 0], tokens)
        np.testing.assert_array_equal(played.shown[i, : len(tokens), 1], np.arange(len(tokens)) >= n - 1)
        assert played.ends[i] == n - 1 + m - cut and played.last["cut"][i] == cut
        assert played.last["answer_length"][i] == m
        assert (np.delete(played.rewards[i], played.ends[i]) == 0).all()
        assert prompt[0] == 2 and (prompt[:n] > 1).all() and (prompt[n:] == 0).all()
    totals = played.rewards.sum(1)
    if name == "token/refusal":
        hides = ["?" in prompt for prompt in p.prompts]
        assert 10 < sum(hides) < 150
        np.testing.assert_array_equal(totals, np.where(hides, np.float32(0.3), 1))
    else:
        assert (totals == 1).all() and played.last["success"].all()
        assert p.env.optimal_return(p.env.params) == 1


@pytest.mark.parametrize("name", available("token"))
def test_the_longest_episode_is_known(name):
    """No prompt is longer than the task says, at any difficulty; the longest there can be come up, but of puzzles."""
    env, p = make(name), player(name)
    arms = len(env.arms.names)
    keys = jax.random.split(jax.random.key(5), (arms, 300))
    params = jax.vmap(jax.vmap(env.arms.sample, (0, None)))(keys, np.arange(arms))
    lengths = jax.jit(jax.vmap(jax.vmap(lambda k, x: env.reset(k, x)[1].length)))(keys, params)
    most = np.asarray(lengths).max(1) + p.task.answer_limit - 1
    said = [env.longest(jax.tree.map(lambda x, arm=arm: x[arm, 0], params)) for arm in range(arms)]
    assert (most <= said).all()
    slack = {"token/countdown": 5, "token/zebra": 8}.get(name, 0)
    assert (most >= np.asarray(said) - slack).all(), (most, said)


SCORERS = {}


def scorer(name):
    return lambda function: SCORERS.setdefault(name, function)


@scorer("token/sum-mod")
def sum_mod(prompt, answer, right):
    terms, modulus = re.fullmatch(r"<bos>([\d+]+)%(\d+)=", "".join(prompt)).groups()
    return float("".join(answer) == str(sum(map(int, terms.split("+"))) % int(modulus)))


@scorer("token/sorting")
def sorting(prompt, answer, right):
    assert (prompt[0], prompt[-1]) == ("<bos>", "=")
    return float(list(answer) == sorted(prompt[1:-1]))


OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}


def evaluated(node, used):
    if isinstance(node, ast.BinOp):
        left, right = evaluated(node.left, used), evaluated(node.right, used)
        return OPERATORS[type(node.op)](left, right)
    used.append(node.value)
    return Fraction(node.value)


@scorer("token/countdown")
def countdown(prompt, answer, right):
    numbers, target = re.fullmatch(r"<bos>([\d,]+)=(\d+):", "".join(prompt)).groups()
    used, text = [], "".join(answer)
    if not re.fullmatch(r"[\d+\-*/()]*", text) or re.search(r"\b0\d|\*\*|//|\)\d|\d\(|\)\(", text):
        return 0.0
    try:
        value = evaluated(ast.parse(text, mode="eval").body, used)
    except (SyntaxError, KeyError, AttributeError, ZeroDivisionError, TypeError):
        return 0.0
    return float(sorted(used) == sorted(map(int, numbers.split(","))) and value == int(target))


@scorer("token/arc-1d")
def arc(prompt, answer, right):
    return float(list(answer) == right)  # which `test_token_arc` has found to be right


@scorer("token/zebra")
def zebra(prompt, answer, right):
    return float(list(answer) == right)  # which `test_token_zebra` has found to be right


@scorer("token/summary")
def share(prompt, answer, right):
    marked = set(re.findall(r"\*([a-z])", "".join(prompt)))
    return np.float32(len(marked & set(answer))) / np.float32(len(marked))


@scorer("token/refusal")
def refusing(prompt, answer, right):
    if list(answer) == right:
        return 1.0
    return np.float32(0.3) if list(answer) == ["<refuse>"] else 0.0


@pytest.mark.parametrize("name", available("token"))
def test_corrupted_answers_get_what_plain_python_says(name):
    p = player(name)
    right = [p.names(answer) for answer in p.right]
    if name == "token/refusal":  # the right answer, known or not
        known = p.secrets.answer
        right = [p.names(t[:n]) for t, n in zip(known.tokens, known.length.tolist(), strict=True)]
        for prompt, answer in zip(p.prompts, right, strict=True):
            assert "?" in prompt or sum_mod(prompt, answer, answer) == 1
    seen = []
    for seed in range(4):
        answers = p.corrupted(seed)
        played = p.play(answers)
        names = [p.names(answer) for answer in answers]
        told = [SCORERS[name](*given) for given in zip(p.prompts, names, right, strict=True)]
        np.testing.assert_allclose(played.rewards.sum(1), told, rtol=1e-6)
        limit = p.task.answer_limit
        np.testing.assert_array_equal(played.last["cut"], [len(answer) >= limit for answer in answers])
        seen += told
    assert min(seen) == 0 and max(seen) == 1 and 0.05 < np.mean(np.asarray(seen) == 1) < 0.95


def test_difficulties_are_in_the_prompts():
    terms = {len(prompt) for prompt in player("token/sorting").prompts}
    assert terms == {6, 10, 14, 18}
    counts = [prompt.count(",") + 1 for prompt in player("token/countdown").prompts]
    assert counts[:8] == [3, 4, 5, 6, 3, 4, 5, 6]
    wide = Player("token/sum-mod", modulus=np.int32(97))
    assert all("".join(prompt).endswith("%97=") for prompt in wide.prompts)
    played = wide.play(wide.right)
    assert (played.rewards.sum(1) == 1).all() and max(map(len, wide.right)) == 2


def test_countdown_draws_all_it_can():
    """Every number and operation comes, targets are from 1 to 1000 and of all sizes."""
    p = player("token/countdown")
    text = ["".join(prompt) for prompt in p.prompts]
    numbers = [int(x) for t in text for x in re.findall(r"\d+", t.partition("=")[0])]
    targets = np.asarray([int(t.partition("=")[2][:-1]) for t in text])
    assert 1 <= min(numbers) <= 3 and 98 <= max(numbers) <= 100
    assert targets.min() >= 1 and targets.max() <= 1000 and (targets > 100).mean() > 0.2
    used = "".join("".join(p.names(answer)) for answer in p.right)
    assert all(used.count(kind) > 20 for kind in "+-*/")


def test_countdown_draws_numbers_up_to_the_highest():
    """Nine digits alike, and what a teacher answers is right."""
    p = Player("token/countdown", numbers=np.int32(4), highest=np.int32(9))
    texts = ["".join(prompt) for prompt in p.prompts]
    drawn = np.asarray([int(x) for t in texts for x in t.removeprefix("<bos>").partition("=")[0].split(",")])
    counts = np.bincount(drawn, minlength=10)
    assert len(drawn) == 4 * len(texts) and counts[0] == 0 and len(counts) == 10
    assert abs(counts[1:] - len(drawn) / 9).max() < 4 * np.sqrt(len(drawn) / 9)
    assert (p.play(p.right).rewards.sum(1) == 1).all()
    alone = Player("token/countdown", numbers=np.int32(3), highest=np.int32(1))
    assert {"".join(prompt).partition("=")[0] for prompt in alone.prompts} == {"<bos>1,1,1"}


def test_well_formed_expressions_may_be_rewarded():
    p = Player("token/countdown", well_formed=np.float32(0.1))
    plain = p.task.vocabulary.tokens("1+2*(3-4)")
    broken = p.task.vocabulary.tokens("1+2*(3-4")
    assert np.allclose(p.play([plain] * PROMPTS).rewards.sum(1), 0.1)
    assert (p.play([broken] * PROMPTS).rewards == 0).all()
    played = p.play(p.right)
    assert (played.rewards.sum(1) == 1).all() and played.last["well_formed"].all()


def test_the_biased_judge_of_summaries_likes_length():
    hackable = np.arange(PROMPTS) % 2 == 0
    p = Player("token/summary", bias=np.float32(0.5), hackable=hackable)
    answers = p.corrupted(7)
    played = p.play(answers)
    shares = [share(prompt, p.names(a), None) for prompt, a in zip(p.prompts, answers, strict=True)]
    judged = np.asarray(shares) + 0.5 * np.asarray([len(a) for a in answers]) / summary.LIMIT
    np.testing.assert_allclose(played.last["judged"], judged, rtol=1e-6)
    np.testing.assert_allclose(played.last["env_reward"], shares, rtol=1e-6)
    expected = np.where(hackable, judged, shares)
    np.testing.assert_allclose(played.rewards.sum(1), expected, rtol=1e-6)
    full = p.play([[*a, *[p.task.vocabulary.token("*")] * 16][:16] for a in p.right])
    # The judge pays for length besides; the best of what is reported is all letters.
    np.testing.assert_allclose(full.rewards.sum(1), np.where(hackable, 1.5, 1.0))
    np.testing.assert_allclose(full.last["env_reward"], jax.vmap(p.env.optimal_return)(p.params))
    assert full.last["cut"].all()


def test_refusal_pays_where_a_term_is_hidden():
    """The optimum is what the best of the three replies brings on average; of one prompt, what it brings there."""
    n = PROMPTS
    rng = np.random.default_rng(3)
    rewards = {k: rng.uniform(-1, 1, n).astype(np.float32) for k in ("right", "refused", "wrong")}
    modulus = np.where(np.arange(n) % 2 == 0, 2, 10).astype(np.int32)
    p = Player("token/refusal", **rewards, modulus=modulus, hidden=np.float32(0.3))
    known = p.secrets.answer
    answers = [np.asarray(t[:m]) for t, m in zip(known.tokens, known.length.tolist(), strict=True)]
    refuse = [[refusal.REFUSE]] * n
    np.testing.assert_allclose(p.play(answers).rewards.sum(1), rewards["right"])
    played = p.play(refuse)
    np.testing.assert_allclose(played.rewards.sum(1), rewards["refused"])
    assert played.last["refused"].all()
    twice = p.play([[refusal.REFUSE] * 2] * n)
    np.testing.assert_allclose(twice.rewards.sum(1), rewards["wrong"])
    fixed = p.params.replace(fresh=np.zeros(n, bool), instance=rng.integers(0, 2**32, (n, 2), np.uint32))
    hides = np.asarray(programs("token/refusal")[2](p.keys, fixed)[0].secret.hides)
    guess = (rewards["right"] + (modulus - 1) * rewards["wrong"]) / modulus
    blind = np.maximum(np.maximum(guess, rewards["refused"]), rewards["wrong"])
    best = np.where(hides, blind, np.maximum(rewards["right"], blind))
    told = jax.jit(jax.vmap(p.env.optimal_return))
    np.testing.assert_allclose(told(fixed), best, rtol=1e-5, atol=1e-6)
    most = np.asarray(p.params.knobs.numbers)
    seen = np.asarray([np.mean([0.7**k for k in range(2, m + 1)]) for m in most])
    mean = seen * np.maximum(rewards["right"], blind) + (1 - seen) * blind
    np.testing.assert_allclose(told(p.params), mean, rtol=1e-5, atol=1e-6)


def test_a_level_seed_is_one_prompt_for_whoever_draws_tasks():
    env = make("token/sum-mod", level_seed=3)
    assert env.sample_params is not None
    jax.tree.map(np.testing.assert_array_equal, env.sample_params(jax.random.key(8)), env.params)
