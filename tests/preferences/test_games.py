"""Games: closed forms against linear programming, exploitability, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl_evolve.preferences import games, minimax, oracles
from jaxrl_evolve.preferences.exploitability import (
    best_response_kl,
    duality_gap,
    exploitability,
    head_to_head,
    head_to_head_played,
    kl_gap,
)
from jaxrl_evolve.preferences.minimax import minimax_winner


@pytest.mark.parametrize(
    ("game", "winner"),
    [
        (games.biased_rps(), (0.9 / 1.7, 0.6 / 1.7, 0.2 / 1.7)),
        (games.populations(), (0.5, 0.2, 0.3)),
        (games.populations((0.45, 0.45, 0.10)), (0.8, 0.1, 0.1)),
        (games.condorcet(4), (1, 0, 0, 0)),
        (games.mixed(2), (0.9 / 1.7, 0.6 / 1.7, 0.2 / 1.7, 0, 0, 0)),
    ],
)
def test_closed_forms_are_what_linear_programming_finds(game, winner):
    found = minimax_winner(game.advantage)
    np.testing.assert_allclose(game.winner, winner, atol=1e-12)
    np.testing.assert_allclose(found.policy, winner, atol=1e-8)
    assert found.unique and abs(found.exploitability) < 1e-9


def test_populations_go_in_circles_where_scores_find_another():
    game = games.populations()
    np.testing.assert_allclose(game.advantage[[0, 1, 2], [1, 2, 0]], [0.3, 0.5, 0.2])
    borda = game.advantage.mean(1)  # what a reward model estimates from uniform pairs
    np.testing.assert_allclose(borda * 3 / 2, [0.05, 0.10, -0.15])
    assert float(exploitability(jnp.asarray(game.advantage), jnp.eye(3)[1])) == pytest.approx(0.3)
    np.testing.assert_array_equal(games.populations((0.2, 0.55, 0.25)).winner, [0, 1, 0])


def test_every_game_with_a_closed_form_is_won_by_it():
    for name in games.GAMES:
        game = games.find_game(name)
        np.testing.assert_array_equal(game.advantage, -game.advantage.T)
        if game.winner is not None:
            assert (game.advantage @ game.winner).max() < 1e-12 and game.winner.sum() == pytest.approx(1)
    classes = games.find_game("sequences")
    assert classes.advantage.shape == (81, 81) and classes.advantage[0, 1] == pytest.approx(0.3)


def test_a_winner_that_is_not_unique_says_so_and_names_corners():
    found = minimax_winner(np.zeros((3, 3)))
    assert not found.unique
    np.testing.assert_allclose(sorted(map(tuple, found.vertices)), np.eye(3)[::-1], atol=1e-9)
    tied = minimax_winner(games.populations((0.2, 0.5, 0.3)).advantage)  # 0 and 1 tie
    assert not tied.unique and len(tied.vertices) == 2
    assert all((games.populations((0.2, 0.5, 0.3)).advantage @ p).max() < 1e-6 for p in tied.vertices)


def test_a_program_that_is_infeasible_by_rounding_is_rounded_and_tried_again(monkeypatch):
    real, asked = minimax.linprog, []

    def fails_at_first(*args, **options):
        asked.append(options)
        found = real(*args, **options)
        if len(asked) <= 2:
            found.status, found.message = 2, "The problem is infeasible."
        return found

    monkeypatch.setattr(minimax, "linprog", fails_at_first)
    found = minimax_winner(games.biased_rps().advantage)
    np.testing.assert_allclose(found.policy, np.array([0.9, 0.6, 0.2]) / 1.7, atol=1e-8)
    assert found.unique and len(asked) > 3
    never = lambda *args, **options: type(
        "Answer", (), {"status": 2, "message": "It is  infeasible.", "x": None}
    )()
    monkeypatch.setattr(minimax, "linprog", never)
    with pytest.raises(
        ValueError, match=r"shape \(3, 3\), could not be found by linear programming: It is infeasible\."
    ):
        minimax_winner(games.biased_rps().advantage)


def test_tiny_beside_large_advantages_are_solved():
    game = games.biased_rps(1e-13, 0.6, 0.9)
    assert abs(minimax_winner(game.advantage).exploitability) < 1e-6


def test_gaps_against_enumeration():
    game = games.random_game(5, 3)
    with jax.enable_x64(True):
        advantage, key = jnp.asarray(game.advantage), jax.random.key(0)
        p, q = jax.nn.softmax(jax.random.normal(key, (2, 5), jnp.float64))
        best = max(float(advantage[i] @ p) for i in range(5))
        assert float(exploitability(advantage, p)) == pytest.approx(best)
        assert float(duality_gap(advantage, p, p)) == pytest.approx(2 * best)
        assert float(duality_gap(advantage, p, q)) == pytest.approx(
            float((advantage @ q).max() + (advantage @ p).max())
        )
        probs, log_mu = (1 + advantage) / 2, jnp.log(q)

        def value(a, b):
            kl = lambda x: (x * (jnp.log(x) - log_mu)).sum()
            return a @ probs @ b - 0.1 * kl(a) + 0.1 * kl(b)

        gap = float(kl_gap(probs, jnp.log(p), log_mu, 0.1))
        answer = jnp.exp(best_response_kl(probs, p, log_mu, 0.1))
        others = jax.nn.softmax(jnp.log(answer) + 0.05 * jax.random.normal(key, (50, 5), jnp.float64))
        assert gap == pytest.approx(float(value(answer, p) - value(p, answer)), abs=1e-12)
        assert all(float(value(other, p) - value(p, other)) < gap for other in others)


def test_ten_thousand_joint_policies_in_one_call():
    advantage = jnp.asarray(games.random_game().advantage, jnp.float32)
    p, q = jax.nn.softmax(jax.random.normal(jax.random.key(0), (2, 10_000, 10)))
    found = jax.jit(jax.vmap(duality_gap, in_axes=(None, 0, 0)))(advantage, p, q)
    expected = (np.asarray(q) @ game_rows(advantage)).max(1) + (np.asarray(p) @ game_rows(advantage)).max(1)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def game_rows(advantage):
    return np.asarray(advantage).T


def test_the_meta_game_of_checkpoints():
    game = games.biased_rps()
    policies = np.concatenate([np.eye(3), np.array([[0.9, 0.6, 0.2]]) / 1.7])
    among = np.asarray(head_to_head(jnp.asarray(game.advantage), jnp.asarray(policies)))
    np.testing.assert_allclose(among[:3, :3], game.advantage, atol=1e-6)
    assert among[3].min() > -1e-6 and not minimax_winner(among).unique  # the mixture, or the last alone
    played = head_to_head_played(
        oracles.table((1 + game.advantage) / 2),
        jax.random.key(0),
        jnp.repeat(jnp.arange(3), 40).reshape(3, 40),
        soft=True,
    )
    np.testing.assert_allclose(played, game.advantage, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (
            lambda: games.find_game("biased_rsp"),
            "games has 'biased_rsp', which is not known: did you mean biased_rps",
        ),
        (lambda: games.populations((0.5, 0.6, 0.1)), "weights is"),
        (lambda: games.biased_rps(a=0.0), "a is 0.0"),
        (lambda: games.condorcet(margin=2.0), "margin is 2.0"),
        (lambda: games.from_table([[0, 0.5], [0.5, 0]]), r"\(1 \+ mine\) / 2\[0, 1\] is 0.75"),
        (lambda: minimax_winner([[0, 2], [-2, 0]]), "must be between 0 and 1"),
    ],
)
def test_games_that_are_none(make, told):
    with pytest.raises(ValueError, match=told):
        make()
