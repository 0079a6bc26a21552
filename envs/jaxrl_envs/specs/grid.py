"""The language of grid worlds with rules: `GridSpec`, behind the interface of every language."""

from __future__ import annotations

import functools

from jaxrl_envs.specs.canonical import data_of, identity
from jaxrl_envs.specs.describe import describe
from jaxrl_envs.specs.features import features
from jaxrl_envs.specs.language import Language
from jaxrl_envs.specs.model import GridSpec
from jaxrl_envs.specs.reading import read
from jaxrl_envs.specs.repair import repair
from jaxrl_envs.specs.schema import schema

GRID = Language(
    "grid", functools.partial(schema, GridSpec), read, repair, data_of, describe, identity, features
)
