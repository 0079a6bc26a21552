"""Options of environments that name files, once a configuration has them: what was in the file stands in the configuration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jaxrl_envs.registry import recorded


def record_options(config: Any, envs: Sequence[str]) -> None:
    """Put `jaxrl_envs.registry.recorded` options into a configuration that is being made.

    Args:
        config: has a field ``env_options``.
        envs: names of the environments that it is for.

    Raises:
        ValueError: a file cannot be read, or what it holds is not sound.
    """
    for env in envs:
        if (options := recorded(env, config.env_options)) != config.env_options:
            object.__setattr__(config, "env_options", options)  # it may be frozen
