"""The half of `check_env` that needs no numbers: spaces, and the structure, shapes and dtypes of everything an environment's functions return."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax

from jaxrl_envs.contract import Arms, Builder, Env, EnvStep
from jaxrl_envs.spaces import Box, Discrete

_TAKEN = ("return", "length", "finished", "seconds")


class EnvError(ValueError):
    """An environment breaks the contract; the message says which rule, in one sentence."""


class Abstract:
    """The rules, each a method; nothing is compiled."""

    def __init__(self, env: Env, key: jax.Array) -> None:
        self.env, self.key = env, key

    def fail(self, message: str) -> EnvError:
        return EnvError(f"{self.env.name}: {message}")

    def run(self, what: str, function: Callable[..., Any], *args: Any) -> Any:
        try:
            return function(*args)
        except EnvError:
            raise
        except Exception as error:
            line = (str(error).splitlines() or [""])[0]
            raise self.fail(f"{what} failed with {type(error).__name__}: {line}") from error

    def types(self) -> None:
        """Structure, shapes and dtypes, by abstract evaluation: nothing is compiled."""
        env = self.env
        for field, space in (
            ("observation_space", env.observation_space),
            ("action_space", env.action_space),
        ):
            inside = jax.tree.leaves(space)
            if not isinstance(space, Box | Discrete) and all(isinstance(x, Box | Discrete) for x in inside):
                what = field.partition("_")[0]
                raise self.fail(f"{field} is a nesting of spaces; see flatten_{what}s of jaxrl_envs")
            if not isinstance(space, Box | Discrete):
                raise self.fail(f"{field} is {space!r}; it must be a jaxrl_envs Box or Discrete")
        for path, leaf in jax.tree_util.tree_leaves_with_path(env.params):
            if not isinstance(leaf, jax.Array) or leaf.weak_type:
                raise self.fail(
                    f"params{_path(path)} is {_describe(leaf)}; it must be a strongly typed array"
                )
        made = self.run("reset(key, params)", jax.eval_shape, env.reset, self.key, env.params)
        if type(made) is not tuple or len(made) != 2:
            raise self.fail(f"reset returns {_kind(made)}; it must be the pair (obs, state)")
        self.strong("the observation from reset", made[0])
        self.strong("the state from reset", made[1])
        self.fits("reset", made[0])
        action = jax.ShapeDtypeStruct(env.action_space.shape, env.action_space.dtype)
        arguments = (self.key, made[1], action, env.params)
        out = self.run("step(key, state, action, params)", jax.eval_shape, env.step, *arguments)
        if not isinstance(out, EnvStep):
            order = ", ".join(EnvStep._fields)
            raise self.fail(f"step returns {_kind(out)}; it must be an EnvStep({order})")
        for field, dtype in (("reward", "float32"), ("terminated", "bool"), ("truncated", "bool")):
            leaf = getattr(out, field)
            if not hasattr(leaf, "shape") or leaf.shape != () or leaf.dtype != dtype or leaf.weak_type:
                raise self.fail(f"{field} is {_describe(leaf)}; it must be a strongly typed {dtype} scalar")
        if not isinstance(out.info, Mapping):
            raise self.fail(f"info is {_kind(out.info)}; it must be a mapping")
        self.strong("info", out.info)
        self.reported(out.info)
        self.fits("step", out.obs)
        self.same_types("the state", made[1], out.state)
        if env.sample_params is not None:
            drawn = self.run("sample_params(key)", jax.eval_shape, env.sample_params, self.key)
            self.same_types("params", env.params, drawn, ("in the environment", "from sample_params"))
        if env.edit_params is not None:
            edit = (self.key, env.params)
            near = self.run("edit_params(key, params)", jax.eval_shape, env.edit_params, *edit)
            self.same_types("params", env.params, near, ("in the environment", "from edit_params"))
        if env.arms is not None:
            self.kinds(env.arms)
        if env.builder is not None:
            self.builds(env.builder)

    def builds(self, builder: Builder) -> None:
        if isinstance(builder.steps, bool) or not isinstance(builder.steps, int) or builder.steps < 1:
            raise self.fail(f"builder.steps is {builder.steps!r}; it must be a whole number of at least 1")
        Abstract(builder.editor, self.key).types()
        state = jax.eval_shape(builder.editor.reset, self.key, builder.editor.params)[1]
        built = self.run("builder.level(state)", jax.eval_shape, builder.level, state)
        self.same_types("params", self.env.params, built, ("in the environment", "from builder.level"))

    def kinds(self, arms: Arms) -> None:
        names, arm = arms.names, jax.ShapeDtypeStruct((), "int32")
        if not names or len({*names}) < len(names):
            raise self.fail(f"arms.names is {names!r}; it must have at least one name, and none twice")
        drawn = self.run("arms.sample(key, arm)", jax.eval_shape, arms.sample, self.key, arm)
        self.same_types("params", self.env.params, drawn, ("in the environment", "from arms.sample"))

    def strong(self, what: str, tree: Any) -> None:
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
            if leaf.weak_type:
                raise self.fail(f"{what}{_path(path)} is {_describe(leaf)}; give it an explicit dtype")

    def reported(self, info: Mapping[str, Any]) -> None:
        for name in self.env.metrics:
            leaf: Any = info.get(name)
            if name in _TAKEN or not hasattr(leaf, "dtype") or leaf.dtype.kind not in "biuf":
                why = "a name that is taken" if name in _TAKEN else "of which info has no numbers"
                there = ", ".join(info) or "which is empty"
                raise self.fail(
                    f"metrics names {name!r}, {why}; it must be a number or a flag of info ({there})"
                )

        success = info.get("success")
        if "success" in self.env.metrics and getattr(success, "shape", ()) != ():
            raise self.fail(f"info['success'] is {_describe(success)}; it must be one number or flag")

    def fits(self, where: str, obs: Any) -> None:
        space = self.env.observation_space
        if not isinstance(obs, jax.ShapeDtypeStruct):
            raise self.fail(f"the observation from {where} is {_kind(obs)}; it must be one array")
        if obs.shape != space.shape or obs.dtype != space.dtype:
            raise self.fail(
                f"the observation from {where} is {_describe(obs)}; its space has {space.dtype}{list(space.shape)}"
            )

    def same_types(
        self,
        what: str,
        first: Any,
        second: Any,
        where: tuple[str, str] = ("after reset", "after step"),
    ) -> None:
        if jax.tree.structure(first) != jax.tree.structure(second):
            raise self.fail(f"{what} has another structure {where[1]} than {where[0]}")
        pairs = zip(jax.tree_util.tree_leaves_with_path(first), jax.tree.leaves(second), strict=True)
        for (path, a), b in pairs:
            if _describe(a) != _describe(b):
                raise self.fail(
                    f"{what}{_path(path)} is {_describe(a)} {where[0]} and {_describe(b)} {where[1]}"
                )


def _path(path: Any) -> str:
    return jax.tree_util.keystr(path)


def _describe(x: Any) -> str:
    if not hasattr(x, "dtype"):
        return f"the Python value {x!r}"
    return f"{'weakly typed ' if getattr(x, 'weak_type', False) else ''}{x.dtype}{list(x.shape)}"


def _kind(x: Any) -> str:
    """What a thing is that should have been another: its type, with what it holds."""
    if isinstance(x, Mapping):
        return f"a {type(x).__name__} of {', '.join(map(repr, x)) or 'nothing'}"
    if isinstance(x, tuple | list):
        return f"a {type(x).__name__} of {len(x)}"
    return f"the array {_describe(x)}" if hasattr(x, "dtype") else f"a {type(x).__name__}"
