"""Disco: a whole update rule, discovered by meta-learning, and its clock-conditioned form.

Names are imported on first use: settings are described without what learns by them.
"""

from typing import TYPE_CHECKING

from jaxrl_evolve.settings.later import on_first_use

if TYPE_CHECKING:
    from jaxrl_evolve.objectives.disco.config import TA_DISCO, DiscoConfig
    from jaxrl_evolve.objectives.disco.inputs import AgentOutputs, DiscoBatch
    from jaxrl_evolve.objectives.disco.published import convert, load_disco_weights
    from jaxrl_evolve.objectives.disco.rule import DiscoRule, DiscoTargets, RuleState, disco, disco_with_time

_MODULE_OF = {
    "TA_DISCO": "config",
    "AgentOutputs": "inputs",
    "DiscoBatch": "inputs",
    "DiscoConfig": "config",
    "DiscoRule": "rule",
    "DiscoTargets": "rule",
    "RuleState": "rule",
    "convert": "published",
    "disco": "rule",
    "disco_with_time": "rule",
    "load_disco_weights": "published",
}

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

__getattr__ = on_first_use(__name__, _MODULE_OF)
