"""Regressions on preferences against enumeration, on a game of two tokens: their gradients, and that what they come to rest at is the tabular update."""

from functools import partial
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl_evolve.algorithms.sequence import METHODS
from jaxrl_evolve.learners.sequence_answers import optimistic
from jaxrl_evolve.learners.sequence_config import SequenceConfig, SequenceHyperparameters
from jaxrl_evolve.learners.sequence_losses import Answers, loss_of
from jaxrl_evolve.preferences.solvers import mirror
from jaxrl_evolve.preferences.solvers.feedback import exact
from jaxrl_evolve.preferences.solvers.solver import Hyperparameters, softmax

SEQUENCES = np.asarray(list(product(range(2), repeat=2)))
"""All completions of two tokens; a policy is a table of logits ``[3, 2]``: of the first token, and of the second after each."""
ADVANTAGE = np.asarray([[0, 0.6, -0.9, 0.2], [-0.6, 0, 0.8, 0.4], [0.9, -0.8, 0, -0.5], [-0.2, -0.4, 0.5, 0]])
PROBS = (1 + ADVANTAGE) / 2
ETA, TAU = 0.7, 0.4


def tokens(logits: Any) -> Any:
    """Log-probabilities of both tokens of every completion, ``[4, 2]``."""
    each = jax.nn.log_softmax(logits)
    first, second = SEQUENCES.T
    return jnp.stack([each[0, first], each[1 + first, second]], 1)


def table(log_p: Any) -> Any:
    """The logits of a distribution over completions."""
    p = jnp.exp(log_p).reshape(2, 2)
    return jnp.log(jnp.concatenate([p.sum(1)[None], p]))


RNG = np.random.default_rng(3)
NOW, REFERENCE, PAST, HALF = RNG.normal(size=(4, 3, 2))


def expected(config: SequenceConfig, hp: Any, logits: Any, who: Any, labelled: Any, **policies: Any) -> Any:
    """The loss, in expectation over all groups that the members in ``who``, tables of logits, can answer."""
    members = len(who)
    groups = np.asarray(list(product(range(4), repeat=members)))
    said = jnp.stack([tokens(x).sum(1) for x in who])
    weight = jnp.exp(said[jnp.arange(members), groups].sum(1))
    whole = jnp.asarray([w is who[0] for w in who])
    probs = jnp.asarray(PROBS)

    def one(group: Any) -> Any:
        of = lambda table: tokens(table)[group].T
        labels = labelled(probs[group[:, None], group[None]][None])
        share = jnp.nan_to_num(
            (labels.sum(-1) - 0.5) / (members - 1), nan=0.5
        )  # who was compared with nobody
        zeros, flags = jnp.zeros((2, members), jnp.int32), jnp.ones((2, members), bool)
        length = jnp.full((1, members), 2.0)
        more = {name: of(table) for name, table in policies.items()}
        given = Answers(of(who[0]), of(REFERENCE), zeros, flags, whole[None], length, share, labels, **more)
        if config.reference == "rollout":
            given = given.replace(reference=given.old)  # type: ignore[attr-defined]
        return loss_of(config, hp, of(logits), jnp.zeros((2, members)), given)[0]

    return (weight * jax.vmap(one)(groups)).sum()


def slope_of(*args: Any, **policies: Any) -> Any:
    config, hp, logits, *rest = args
    return jax.jit(jax.grad(lambda x: expected(config, hp, x, *rest, **policies)))(logits)


def same(labels: Any) -> Any:
    return labels


def solved(make: Any, **hp: Any) -> Any:
    """The table of what a solver has after a step from here."""
    solver, log = make(softmax(4)), lambda logits: tokens(logits).sum(1)
    state = solver.init(log(NOW))._replace(reference=log(REFERENCE), anchor=log(PAST))
    state = state._replace(before=jnp.asarray(PROBS) @ jnp.exp(log(PAST)))
    step = solver.step(jax.random.key(0), state, exact(jnp.asarray(PROBS)), Hyperparameters(**hp))
    return table(step.policy)


def preset(name: str, group: int, **more: Any) -> tuple[SequenceConfig, Any]:
    _, settings, _ = METHODS[name]
    hp = SequenceHyperparameters(beta=1 / ETA, mixture=ETA * TAU, past_mixture=0.0)
    return SequenceConfig(group=group, **{**settings, **more}), hp


CASES = {
    "inpo": (mirror.mirror_descent, (NOW, NOW), same, {}),
    "omwu": (mirror.omwu, (NOW, NOW, PAST, PAST), None, {"past": PAST}),
    "omwu_kl": (mirror.omwu_kl, (NOW, NOW, PAST, PAST), None, {"past": PAST}),
    "nash-prox": (mirror.nash_prox, (NOW, NOW), same, {"past": PAST}),
    "egpo": (mirror.egpo, (HALF, HALF), same, {"base": NOW, "past": NOW}),
}


@pytest.mark.parametrize("name", CASES)
def test_at_rest_it_is_the_tabular_update(name: str):
    """Where the expected gradient vanishes: the table that the solver comes to in one step from the same policies."""
    make, who, labelled, policies = CASES[name]
    with jax.enable_x64(True):
        if name == "omwu_kl":
            config, hp = preset("omwu", 4, reference="first")
        else:
            config, hp = preset(name, len(who))
        if labelled is None:
            labelled = partial(optimistic, other=jnp.asarray([False, False, True, True]))
        if name == "nash-prox":
            hp = hp.replace(past_mixture=0.3)
        if name == "egpo":  # the half step is where those answer who are compared
            half = solved(mirror.mirror_descent, step=ETA, tau=TAU)
            who = (half, half)
        target = solved(make, step=ETA, tau=TAU, rate=0.3 / ETA)
        found = slope_of(config, hp, target, who, labelled, **policies)
        np.testing.assert_allclose(found, 0.0, atol=1e-9)
        assert np.abs(slope_of(config, hp, jnp.asarray(NOW), who, labelled, **policies)).max() > 1e-2


def test_gradients_of_pairs_are_those_of_all_pairs():
    """In closed form over the four completions, at a policy that is none of those that are mixed."""
    with jax.enable_x64(True):
        log = lambda logits: tokens(logits).sum(1)
        p, logits = jnp.exp(log(NOW)), jnp.asarray(HALF)
        each = p[:, None] * p[None]
        margins = {
            "mnpo": lambda h: h - 0.2 * log(REFERENCE) - 0.3 * log(PAST) - 0.5 * log(NOW),
            "ipo": lambda h: h - log(REFERENCE),
        }
        for name, apart in margins.items():
            config, hp = preset(name, 2)
            hp = hp.replace(mixture=0.2, past_mixture=0.3) if name == "mnpo" else hp.replace(mixture=1.0)
            policies = {"past": PAST} if name == "mnpo" else {}

            def whole(x: Any, apart: Any = apart) -> Any:
                h = apart(log(x))
                return (each * jnp.square(h[:, None] - h[None] - ETA * ADVANTAGE / 2)).sum()

            found = slope_of(config, hp, logits, (NOW, NOW), same, **policies)
            np.testing.assert_allclose(found, jax.grad(whole)(logits), atol=1e-9)
        for name, noise in (("dpo", 0.0), ("cdpo", 0.1)):
            config, hp = preset(name, 2)
            hp = hp.replace(mixture=1.0, label_noise=noise, beta=0.8)

            def logistic(x: Any, noise: float = noise) -> Any:
                h = 0.8 * (log(x) - log(REFERENCE))
                right = jax.nn.log_sigmoid(h[:, None] - h[None])
                told = (1 - noise) * PROBS + noise * (1 - PROBS)
                return -(each * (told * right + (1 - told) * right.T)).sum()

            found = slope_of(config, hp, logits, (NOW, NOW), same)
            np.testing.assert_allclose(found, jax.grad(logistic)(logits), atol=1e-9)


@pytest.mark.parametrize("members", [2, 3, 5])
def test_win_rates_of_any_number_are_of_the_others(members: int):
    """Nobody counts against itself, so SPPO's expected gradient is that of the true win rates, whatever the number of samples."""
    with jax.enable_x64(True):
        log = lambda logits: tokens(logits).sum(1)
        config, hp = preset("sppo", members)
        p = jnp.exp(log(NOW))
        rates, logits = jnp.asarray(PROBS) @ p, jnp.asarray(HALF)
        hp = hp.replace(eta=1.3)
        whole = lambda x: (p * jnp.square(log(x) - log(NOW) - 1.3 * (rates - 0.5))).sum()
        found = slope_of(config, hp, logits, (NOW,) * members, same)
        np.testing.assert_allclose(found, jax.grad(whole)(logits), atol=1e-9)


def test_differences_of_win_rates_count_a_pairs_own_label_twice():
    """So with three samples the pairwise form rests at multiplicative weights of a step that is half as large again."""
    with jax.enable_x64(True):
        config, hp = preset("rebel", 3)
        log = tokens(NOW).sum(1)
        target = table(jax.nn.log_softmax(log + 1.3 * 3 / 2 * jnp.asarray(PROBS) @ jnp.exp(log)))
        found = slope_of(config, hp.replace(eta=1.3), target, (NOW,) * 3, same)
        np.testing.assert_allclose(found, 0.0, atol=1e-9)


def test_on_the_policy_that_answered_regularised_steps_begin_alike():
    """There INPO, MNPO, EGPO and Nash Prox are one policy gradient of the win rate and of the mixture; optimism expects the last change once more."""
    with jax.enable_x64(True):
        logits, log = jnp.asarray(NOW), lambda x: tokens(x).sum(1)
        p = jnp.exp(log(NOW))
        toward = lambda mixed: jax.grad(
            lambda x: -4 * (jax.lax.stop_gradient(p * (ETA * PROBS @ p + mixed)) * log(x)).sum()
        )(logits)
        pull = ETA * TAU * (log(REFERENCE) - log(NOW))
        for name, extra in (("inpo", 0.0), ("egpo", 0.0), ("mnpo", 0.3), ("nash-prox", 0.3)):
            config, hp = preset(name, 2)
            policies: dict[str, Any] = {} if name == "inpo" else {"past": PAST}
            found = slope_of(config, hp.replace(past_mixture=extra), logits, (NOW, NOW), same, **policies)
            np.testing.assert_allclose(found, toward(pull + extra * (log(PAST) - log(NOW))), atol=1e-9)
        config, hp = preset("omwu", 4)
        labelled = partial(optimistic, other=jnp.asarray([False, False, True, True]))
        found = slope_of(config, hp, logits, (NOW, NOW, PAST, PAST), labelled, past=PAST)
        change = ETA * jnp.asarray(PROBS) @ (p - jnp.exp(log(PAST)))
        np.testing.assert_allclose(found, toward(change), atol=1e-9)


def test_optimism_about_ties_and_about_nobody():
    other = jnp.asarray([False, False, True, True])
    tied = np.asarray(optimistic(jnp.full((1, 4, 4), 0.5), other))[0]
    np.testing.assert_array_equal(tied[:2, :2], 0.5)
    assert np.isnan(tied[2:]).all() and np.isnan(tied[:, 2:]).all()
    alone = jnp.full((1, 4, 4), 0.5).at[:, :, 2:].set(jnp.nan).at[:, 2:].set(jnp.nan)
    assert np.isnan(np.asarray(optimistic(alone, other))).all()
