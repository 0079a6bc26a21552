"""Completions: drawn from what they should be, and told as `unroll` tells them."""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled import program

from jaxrl_envs import Box, Discrete
from jaxrl_evolve.networks.config import NetworkConfig
from jaxrl_evolve.networks.decoder.generate import generate
from jaxrl_evolve.networks.decoder.sampling import Sampling, drawn_from, known, nucleus
from jaxrl_evolve.networks.decoder_config import DecoderConfig
from jaxrl_evolve.networks.distributions import Categorical
from jaxrl_evolve.networks.table import make_network

V, B, P, L = 7, 6, 4, 5
CONFIG = DecoderConfig(layers=2, width=16, heads=4, kv_heads=2, mlp=12, context=P + L, temperature=0.8)
LENGTHS = np.asarray([1, 2, 3, 4, 4, 2], np.int32)


@cache
def made() -> tuple[Any, Any, np.ndarray]:
    """A network, parameters that make it sure of some things, and prompts."""
    space = Box((0.0, 0.0), (V - 1.0, 1.0), (2,), "int32")
    net = make_network(NetworkConfig(kind="decoder", decoder=CONFIG), space, Discrete(V))
    rng = np.random.default_rng(0)
    moved = lambda x: x + 0.4 * rng.normal(size=x.shape).astype(np.float32)
    params = jax.tree.map(moved, program(net.init)(jax.random.key(0)))
    return net, params, rng.integers(0, V, (B, P)).astype(np.int32)


@cache
def unrolled() -> Any:
    net, *_ = made()
    return program(lambda *args: net.unroll(*args)[0].log_probs)


def log_probs(tokens: np.ndarray) -> np.ndarray:
    """Of all next tokens after each of ``tokens [B, S]``, by the network: ``[B, S, V]``."""
    net, params, _ = made()
    padded = np.zeros((P + L, len(tokens), 2), np.int32)
    padded[: tokens.shape[1], :, 0] = tokens.T
    padded[..., 1] = 1
    first = np.zeros((P + L, len(tokens)), bool)
    first[0] = True
    memory = jax.device_get(net.initial_memory(len(tokens)))
    return unrolled()(params, padded, first, memory).swapaxes(0, 1)[:, : tokens.shape[1]]


def completed(sampling: Sampling, seed: int = 0) -> Any:
    _, params, prompts = made()
    return jax.device_get(generate(CONFIG, params, prompts, LENGTHS, sampling, jax.random.key(seed)))


def assert_told_rightly(found: Any, sampling: Sampling) -> None:
    """Lengths, ends and both log-probabilities of completions, by `unroll` and arithmetic."""
    _, _, prompts = made()
    for i in range(B):
        length, tokens = found.lengths[i], found.tokens[i]
        assert (tokens[length:] == 0).all() and (found.log_prob[i, length:] == 0).all()
        assert (found.sampled_log_prob[i, length:] == 0).all()
        assert not (tokens[: length - 1] == sampling.eos).any()
        assert found.ended[i] == (tokens[length - 1] == sampling.eos) and (
            found.ended[i] or length == sampling.limit
        )
        text = np.concatenate([prompts[i, : LENGTHS[i]], tokens[:length]])[None]
        said = log_probs(text)[0, LENGTHS[i] - 1 : -1]
        picked = np.arange(length), tokens[:length]
        np.testing.assert_allclose(found.log_prob[i, :length], said[picked], atol=1e-5)
        chosen = np.log(np.maximum(np.stack([oracle(np.exp(row), sampling) for row in said]), 1e-30))
        np.testing.assert_allclose(found.sampled_log_prob[i, :length], chosen[picked], atol=2e-5)


def oracle(probs: np.ndarray, sampling: Sampling) -> np.ndarray:
    """The distribution that is drawn from, of the policy's: one row, the likeliest tokens added up one by one."""
    if sampling.temperature == 0:
        return np.eye(len(probs))[probs.argmax()]
    heated = probs.astype(np.float64) ** (1 / sampling.temperature)
    heated /= heated.sum()
    kept, mass = np.zeros_like(heated), 0.0
    for token in sorted(range(len(heated)), key=lambda token: (-heated[token], token)):
        if mass >= sampling.top_p:
            break
        kept[token], mass = heated[token], mass + heated[token]
    return kept / kept.sum()


def test_what_is_drawn_is_told_as_unroll_tells_it():
    for sampling in (Sampling(L), Sampling(L, temperature=1.5, top_p=0.7)):
        found = completed(sampling)
        assert_told_rightly(found, sampling)
        assert len(set(found.lengths)) > 1  # some ended by themselves
        assert found.tokens.dtype == found.lengths.dtype == np.int32 and found.ended.dtype == bool


def test_temperature_zero_takes_the_most_probable_token_of_each_step():
    _, _, prompts = made()
    sampling = Sampling(L, temperature=0.0, eos=5)
    found = completed(sampling)
    assert_told_rightly(found, sampling)
    assert (found.sampled_log_prob == 0).all()
    for i in range(B):
        text = prompts[i, : LENGTHS[i]].tolist()
        for token in found.tokens[i, : found.lengths[i]]:
            assert token == log_probs(np.asarray([text], np.int32))[0, -1].argmax()
            text.append(int(token))


def test_tokens_are_drawn_as_often_as_their_probabilities_say():
    """First tokens of many completions of one prompt, against the policy's distribution."""
    _, params, prompts = made()
    many, sampling = 4_000, Sampling(1, top_p=0.8)
    same = np.broadcast_to(prompts[3], (many, P))
    found = generate(CONFIG, params, same, np.full(many, P), sampling, jax.random.key(2))
    expected = oracle(np.exp(log_probs(prompts[3:4])[0, -1]), sampling)
    share = np.bincount(np.asarray(found.tokens)[:, 0], minlength=V) / many
    assert (share[expected == 0] == 0).all() and 1 < (expected > 0).sum() < V
    np.testing.assert_allclose(share, expected, atol=4 * np.sqrt(0.25 / many))


@pytest.mark.parametrize("top_p", [0.05, 0.4, 0.5, 0.7, 0.95, 1.0])
def test_the_nucleus_is_that_of_an_oracle(top_p: float):
    probs = np.stack([[0.1, 0.4, 0.3, 0.2], [0.25, 0.25, 0.25, 0.25], [0.0, 0.05, 0.05, 0.9]])
    logits = jnp.log(jnp.maximum(probs, 1e-30))
    for temperature in (1.0, 0.5):
        sampling = Sampling(1, temperature=temperature, top_p=top_p)
        found = jax.nn.softmax(drawn_from(logits, sampling))
        expected = np.stack([oracle(row, sampling) for row in probs])
        np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_array_equal(np.isfinite(nucleus(logits, 0.45))[:2].sum(-1), [2, 2])


def test_tokens_that_nobody_knows_are_not_drawn():
    """Drawn from what is left, most probable first where nothing is drawn; the policy's own log-probabilities stay."""
    logits = jnp.log(jnp.asarray([0.1, 0.2, 0.3, 0.4]))
    left = jax.nn.softmax(drawn_from(logits, Sampling(1, tokens=3)))
    np.testing.assert_allclose(left, [1 / 6, 2 / 6, 3 / 6, 0], atol=1e-6)
    np.testing.assert_array_equal(known(logits, Sampling(1)), logits)
    _, params, prompts = made()
    for temperature in (0.0, 1.0):
        sampling = Sampling(L, temperature=temperature, tokens=3)
        found = generate(CONFIG, params, prompts, LENGTHS, sampling, jax.random.key(0))
        assert int(found.tokens.max()) < 3 and bool(jnp.isfinite(found.sampled_log_prob).all())
        first = log_probs(prompts)[np.arange(B), LENGTHS - 1]
        tokens = np.asarray(found.tokens)[:, 0]
        np.testing.assert_allclose(found.log_prob[:, 0], first[np.arange(B), tokens], atol=1e-5)
        if not temperature:
            np.testing.assert_array_equal(tokens, first[:, :3].argmax(-1))


def test_however_small_a_temperature_or_a_share_the_most_probable_token_is_left():
    greedy = completed(Sampling(L, temperature=0.0))
    for sampling in (Sampling(L, temperature=1e-46), Sampling(L, top_p=1e-50)):
        found = completed(sampling)
        np.testing.assert_array_equal(found.tokens, greedy.tokens)
        assert (found.sampled_log_prob == 0).all()


def test_parameters_of_another_shape_are_refused():
    net, params, prompts = made()
    ask = lambda **changes: generate(
        dataclasses.replace(CONFIG, **changes),
        net.actor(params),
        prompts,
        LENGTHS,
        Sampling(L),
        jax.random.key(0),
    )
    tied = not CONFIG.tied
    for changes, message in (
        ({"tied": tied}, f"params have {'a' if tied else 'no'} unembedding, which config says that there is"),
        (
            {"qkv_bias": not CONFIG.qkv_bias},
            "params have no blocks.attention.key.bias, which config says that there is",
        ),
        ({"mlp": CONFIG.mlp + 1}, r"params have blocks\.mlp\.\w+\.kernel of shape .*; by config it is"),
        ({"layers": CONFIG.layers + 1}, r"params have blocks\.\S+ of shape .*; by config it is"),
    ):
        with pytest.raises(ValueError, match=message):
            ask(**changes)


def test_what_stands_behind_a_prompt_is_not_read():
    _, params, prompts = made()
    other = np.where(np.arange(P) < LENGTHS[:, None], prompts, (prompts + 3) % V)
    found = generate(CONFIG, params, other, LENGTHS, Sampling(L), jax.random.key(0))
    for a, b in zip(found, completed(Sampling(L)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_keys_decide():
    assert (completed(Sampling(L), 0).tokens != completed(Sampling(L), 1).tokens).any()


def test_what_cannot_be_generated_is_refused():
    net, params, prompts = made()
    made_of = lambda sampling=Sampling(L), lengths=LENGTHS, prompts=prompts: generate(  # noqa: B008
        CONFIG, net.actor(params), prompts, lengths, sampling, jax.random.key(0)
    )
    assert made_of().tokens.shape == (B, L)
    with pytest.raises(
        ValueError, match="context is 9; it must be at least 10, 4 of a prompt and 6 of its completion"
    ):
        made_of(Sampling(L + 1))
    with pytest.raises(ValueError, match="lengths has 0; prompts have from 1 to 4 tokens here"):
        made_of(lengths=np.zeros(B, np.int32))
    with pytest.raises(ValueError, match=r"prompts have shape \(6, 4\) and lengths \(2,\)"):
        made_of(lengths=LENGTHS[:2])
    with pytest.raises(ValueError, match="sampling.eos is 7; tokens go from 0 to 6"):
        made_of(Sampling(L, eos=7))
    for token in (-1, 7):
        wrong = prompts.copy()
        wrong[2, 2] = token
        with pytest.raises(ValueError, match=rf"prompts\[2\] has the token {token}; tokens go from 0 to 6"):
            made_of(prompts=wrong)
    wrong = prompts.copy()
    wrong[0, 1] = 7  # behind the first prompt's end
    assert made_of(prompts=wrong).tokens.shape == (B, L)
    with pytest.raises(ValueError, match=r"prompts have shape \(0, 4\); there must be one of one token"):
        made_of(prompts=prompts[:0], lengths=LENGTHS[:0])
    with pytest.raises(ValueError, match="prompts are float32; they must be whole numbers"):
        made_of(prompts=prompts.astype(np.float32))
    with pytest.raises(ValueError, match="lengths are bool; they must be whole numbers"):
        made_of(lengths=LENGTHS > 0)
    for other, message in (
        (
            jax.tree.map(lambda x: x[None], params),
            r"embedding of shape \(1, 7, .*\); it must be \[tokens, width\]",
        ),
        ({"params": {}}, "params are no decoder's"),
        (None, "params are no decoder's"),
    ):
        with pytest.raises(ValueError, match=message):
            generate(CONFIG, other, prompts, LENGTHS, Sampling(L), jax.random.key(0))
    with pytest.raises(ValueError, match="sampling.top_p is 1.5; it must be a number between 0 and 1"):
        Sampling(L, top_p=1.5)
    with pytest.raises(ValueError, match="sampling.eos is 1; it must be one of the 1 tokens that are drawn"):
        Sampling(L, tokens=1)
    with pytest.raises(ValueError, match="sampling.tokens is 8; the model has 7"):
        made_of(Sampling(L, tokens=8))
    with pytest.raises(ValueError, match="sampling.top_p is 0.0; it must be above 0"):
        Sampling(L, top_p=0.0)
    with pytest.raises(ValueError, match="sampling.limit is 0"):
        Sampling(0)


def test_however_small_a_temperature_the_most_probable_token_is_drawn():
    """Of logits that it made large, differences would be rounding and nothing else."""
    logits = 300.0 * jax.random.normal(jax.random.key(3), (64, 7), jnp.float32)
    for temperature in (1e-3, 1e-9, 1e-12, 1e-30):
        left = jax.jit(drawn_from, static_argnums=1)(logits, Sampling(L, temperature=temperature))
        assert np.isfinite(left.max(-1)).all() and (left.max(-1) == 0).all()
        np.testing.assert_array_equal(left.argmax(-1), logits.argmax(-1))
        chosen = Categorical(left)
        drawn = chosen.sample(jax.random.key(4))
        np.testing.assert_array_equal(drawn, logits.argmax(-1))
        assert np.isfinite(chosen.log_prob(drawn)).all()
