"""Completions of a batch of prompts, in one program: the prompts in one forward pass, then a token of each per step.

The policy is the one of the decoder's `Network`: log-probabilities are those of its `unroll`. No environment is stepped, and the loop ends
with the last completion.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Int

from jaxrl_envs.spaces import Box, Discrete
from jaxrl_envs.token.vocabulary import PAD
from jaxrl_evolve.networks.config import NetworkConfig
from jaxrl_evolve.networks.decoder.attention import KeysAndValues, Sight
from jaxrl_evolve.networks.decoder.module import Decoder
from jaxrl_evolve.networks.decoder.network import make_decoder
from jaxrl_evolve.networks.decoder.sampling import Sampling, drawn_from, known
from jaxrl_evolve.networks.decoder_config import DecoderConfig, require_context
from jaxrl_evolve.networks.distributions import Categorical


class Completions(NamedTuple):
    """What was drawn for ``B`` prompts, up to ``L`` tokens each; beyond a completion's end tokens are `PAD` and numbers 0.

    Attributes:
        tokens: int32, without the prompts, with the EOS that ended them.
        lengths: int32, tokens of each, the EOS counted.
        log_prob: float32, of each token by the policy itself, with the temperature of its settings: what `unroll` says.
        sampled_log_prob: float32, of each token by the distribution that it was drawn from, after `Sampling.temperature` and
            `Sampling.top_p`.
        ended: bool, whether an EOS ended it; else it was cut off.
    """

    tokens: Int[Array, "B L"]
    lengths: Int[Array, " B"]
    log_prob: Float[Array, "B L"]
    sampled_log_prob: Float[Array, "B L"]
    ended: Bool[Array, " B"]


def generate(
    config: DecoderConfig, params: Any, prompts: Any, lengths: Any, sampling: Sampling, key: Array
) -> Completions:
    """Completions of prompts of different lengths.

    Args:
        config: the decoder's shape.
        params: of its network, or what `Network.actor` takes out of them.
        prompts: int32 ``[B, P]``; each begins at the left, and what stands behind its end is not read.
        lengths: int32 ``[B]``, tokens of each prompt, from 1 to ``P``.
        sampling: how tokens are drawn.
        key: randomness.

    Raises:
        ValueError: shapes do not agree, parameters are not those of one decoder, a length, a token or the EOS is no such number, or prompts with their completions do not fit into the context.
    """
    if jnp.ndim(prompts) != 2 or jnp.shape(lengths) != jnp.shape(prompts)[:1]:
        raise ValueError(
            f"prompts have shape {jnp.shape(prompts)} and lengths {jnp.shape(lengths)}; these must be [B, P] and [B]"
        )
    if not all(jnp.shape(prompts)):
        raise ValueError(f"prompts have shape {jnp.shape(prompts)}; there must be one of one token at least")
    for name, given in {"prompts": prompts, "lengths": lengths}.items():
        if not jnp.issubdtype(kind := jnp.asarray(given).dtype, jnp.integer):
            raise ValueError(f"{name} are {kind}; they must be whole numbers")
    vocabulary = _vocabulary(params)
    _check_params(config, vocabulary, params)
    longest = jnp.shape(prompts)[1]
    require_context(
        config, longest + sampling.limit, f"{longest} of a prompt and {sampling.limit} of its completion"
    )
    if sampling.eos >= vocabulary:
        raise ValueError(f"sampling.eos is {sampling.eos}; tokens go from 0 to {vocabulary - 1}")
    if sampling.tokens > vocabulary:
        raise ValueError(f"sampling.tokens is {sampling.tokens}; the model has {vocabulary}")
    _check_prompts(prompts, lengths, vocabulary)
    prompts, lengths = jnp.asarray(prompts, jnp.int32), jnp.asarray(lengths, jnp.int32)
    return _generate(config, sampling, params, prompts, lengths, key)


def _vocabulary(params: Any) -> int:
    """Tokens of a decoder with these parameters."""
    try:
        shape = jnp.shape(params["params"]["embedding"])
    except (KeyError, TypeError):
        raise ValueError(
            "params are no decoder's: there is no embedding of tokens; it must be what its network's init gives"
        ) from None
    if len(shape) != 2:
        raise ValueError(
            f"params have an embedding of shape {shape}; it must be [tokens, width], of one run: load(folder).state_of(0).params"
        )
    return shape[0]


@lru_cache(maxsize=64)
def _named_shapes(config: DecoderConfig, vocabulary: int) -> dict[str, tuple[int, ...]]:
    """Of the parameters that completions read: those of all but the critic."""
    tokens = Box((0.0, 0.0), (vocabulary - 1.0, 1.0), (2,), "int32")
    network = make_decoder(NetworkConfig(kind="decoder", decoder=config), tokens, Discrete(vocabulary))
    named = _by_name(jax.eval_shape(network.init, jax.random.key(0)))
    return {name: shape for name, shape in named.items() if not name.startswith("critic.")}


def _by_name(params: Any) -> dict[str, tuple[int, ...]]:
    leaves = jax.tree_util.tree_leaves_with_path(params["params"])
    return {jax.tree_util.keystr(path, simple=True, separator="."): jnp.shape(leaf) for path, leaf in leaves}


def _check_params(config: DecoderConfig, vocabulary: int, params: Any) -> None:
    """Refuse parameters of another shape: some would be computed with as if they were of this one."""
    there, here = _by_name(params), _named_shapes(config, vocabulary)
    for name in (*here, *there):
        if name.startswith("critic."):
            continue
        if name not in there or name not in here:
            own = "config says that there is" if name in here else "config says that there is not"
            raise ValueError(f"params have {'no' if name in here else 'a'} {name}, which {own}")
        if there[name] != here[name]:
            raise ValueError(f"params have {name} of shape {there[name]}; by config it is {here[name]}")


def _check_prompts(prompts: Any, lengths: Any, vocabulary: int) -> None:
    """Refuse lengths and tokens that there are not, as far as they are known: an array would be read somewhere else instead."""
    if isinstance(lengths, Tracer):
        return
    lengths, longest = np.asarray(lengths), jnp.shape(prompts)[1]
    for length in lengths:
        if not 1 <= length <= longest:
            raise ValueError(f"lengths has {length}; prompts have from 1 to {longest} tokens here")
    if isinstance(prompts, Tracer):
        return
    prompts = np.asarray(prompts)
    read = np.arange(longest) < lengths[:, None]
    if (wrong := np.argwhere(read & ((prompts < 0) | (prompts >= vocabulary)))).size:
        i, j = wrong[0]
        raise ValueError(f"prompts[{i}] has the token {prompts[i, j]}; tokens go from 0 to {vocabulary - 1}")


class _Loop(NamedTuple):
    """Where generation stands: the tokens drawn last, and what they were drawn after.

    Attributes:
        step: number of tokens drawn.
        kept: of each layer, with room for ``P + L`` tokens: prompts, and from place ``P`` on those that were drawn, so that those
            of one step have the same place whatever their prompts' lengths.
        token: int32 ``[B]``, drawn last, not in there yet.
        made: what comes out.
    """

    step: Array
    kept: list[KeysAndValues]
    token: Array
    made: Completions


@partial(jax.jit, static_argnames=("config", "sampling"))
def _generate(
    config: DecoderConfig, sampling: Sampling, params: Any, prompts: Array, lengths: Array, key: Array
) -> Completions:
    module = Decoder(config, params["params"]["embedding"].shape[0])
    apply = lambda function, *args: cast(Any, module.apply(params, *args, method=function))
    layers, kept, logits = _prefill(apply, prompts, lengths, sampling.limit)
    num = prompts.shape[0]
    zeros = jnp.zeros((num, sampling.limit), jnp.float32)
    tokens = jnp.full(zeros.shape, PAD, jnp.int32)
    none = Completions(tokens, jnp.zeros((num,), jnp.int32), zeros, zeros, jnp.zeros((num,), bool))
    loop = _Loop(jnp.zeros((), jnp.int32), kept, tokens[:, 0], none)

    def step(loop: _Loop) -> _Loop:
        kept, logits = _read_one(apply, layers, loop, lengths)
        return _drawn(loop._replace(kept=kept), logits, sampling, key)

    def goes_on(loop: _Loop) -> Array:
        return (loop.step < sampling.limit) & ~loop.made.ended.all()

    return jax.lax.while_loop(goes_on, step, _drawn(loop, logits, sampling, key)).made


def _prefill(
    apply: Any, prompts: Array, lengths: Array, limit: int
) -> tuple[list[Any], list[KeysAndValues], Array]:
    """Parameters of each layer, what it keeps of prompts, with room for completions, and the logits ``[B, V]`` after the last
    token of each prompt.
    """
    num, longest = prompts.shape
    time = jnp.arange(longest, dtype=jnp.int32)
    causal = jnp.broadcast_to(time[:, None] >= time, (num, longest, longest))
    position = jnp.broadcast_to(time, prompts.shape)

    def compute(net: Decoder) -> tuple[list[Any], KeysAndValues, Array]:
        x, new = net.features(prompts, None, Sight(position, causal))
        last = jnp.take_along_axis(x, (lengths - 1)[:, None, None], 1)[:, 0]
        return net.layers(), new, net.logits(last)

    layers, new, logits = apply(compute)
    room = lambda x, axis: jnp.pad(x, [(0, limit if i == axis else 0) for i in range(x.ndim)])
    kept = KeysAndValues(room(new.keys, 4), room(new.values, 3))
    return layers, [jax.tree.map(lambda x, i=i: x[i], kept) for i in range(len(layers))], logits


def _read_one(
    apply: Any, layers: list[Any], loop: _Loop, lengths: Array
) -> tuple[list[KeysAndValues], Array]:
    """The token drawn last read in each sequence: what is kept with it, and the logits ``[B, V]`` after it."""
    room, limit = loop.kept[0].keys.shape[-1], loop.made.tokens.shape[1]
    before, place = loop.step - 1, jnp.arange(room)
    drawn = place - (room - limit)  # which of the completion's tokens belongs there; below 0 the prompt's
    seen = jnp.where(drawn < 0, place < lengths[:, None], drawn <= before)
    sight = Sight((lengths + before)[:, None], None, seen[:, None], room - limit + before)

    def compute(net: Decoder) -> tuple[list[KeysAndValues], Array]:
        x, kept = net.features_of_layers(loop.token[:, None], layers, loop.kept, sight)
        return kept, net.logits(x[:, 0])

    return apply(compute)


def _drawn(loop: _Loop, logits: Array, sampling: Sampling, key: Array) -> _Loop:
    """One token drawn in each completion that goes on."""
    made, going = loop.made, ~loop.made.ended
    if sampling.temperature == 0:  # nothing is drawn, so that nothing is spent on random numbers
        token, sampled = jnp.argmax(known(logits, sampling), -1), jnp.zeros(going.shape, jnp.float32)
    else:
        chosen = Categorical(drawn_from(logits, sampling))
        token = chosen.sample(jax.random.fold_in(key, loop.step))
        sampled = chosen.log_prob(token)
    token = jnp.where(going, token, PAD)
    put = lambda kept, one: kept.at[:, loop.step].set(jnp.where(going, one, 0))
    made = Completions(
        tokens=put(made.tokens, token),
        lengths=made.lengths + going,
        log_prob=put(made.log_prob, Categorical(logits).log_prob(token)),
        sampled_log_prob=put(made.sampled_log_prob, sampled),
        ended=made.ended | (token == sampling.eos) & going,
    )
    return loop._replace(step=loop.step + 1, token=token, made=made)
