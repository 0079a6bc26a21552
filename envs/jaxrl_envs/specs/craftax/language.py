"""The language of Craftax-Classic's worlds: `CraftaxSpec`, behind the interface of every language."""

from __future__ import annotations

import functools

from jaxrl_envs.specs.canonical import data_of, identity
from jaxrl_envs.specs.craftax.describe import describe, features
from jaxrl_envs.specs.craftax.model import CraftaxSpec
from jaxrl_envs.specs.craftax.reading import read, repair
from jaxrl_envs.specs.language import Language
from jaxrl_envs.specs.schema import schema

CRAFTAX = Language(
    "craftax", functools.partial(schema, CraftaxSpec), read, repair, data_of, describe, identity, features
)
