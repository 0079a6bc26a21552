"""Disco: a whole update rule, discovered by meta-learning, and its clock-conditioned form."""

from jaxrl_evolve.objectives.disco.config import TA_DISCO, DiscoConfig
from jaxrl_evolve.objectives.disco.inputs import AgentOutputs, DiscoBatch
from jaxrl_evolve.objectives.disco.published import convert, load_disco_weights
from jaxrl_evolve.objectives.disco.rule import DiscoRule, DiscoTargets, RuleState, disco, disco_with_time

__all__ = [
    "TA_DISCO",
    "AgentOutputs",
    "DiscoBatch",
    "DiscoConfig",
    "DiscoRule",
    "DiscoTargets",
    "RuleState",
    "convert",
    "disco",
    "disco_with_time",
    "load_disco_weights",
]
