"""Meta-training: objectives that improve by what becomes of the agents that learn by them.

Names are imported on first use: settings are described without what trains by them.
"""

from typing import TYPE_CHECKING

from jaxrl_evolve.settings.later import on_first_use

if TYPE_CHECKING:
    from jaxrl_evolve.meta.config import MetaTrainConfig
    from jaxrl_evolve.meta.evolution_config import EvolutionConfig
    from jaxrl_evolve.meta.fitness_config import FitnessConfig
    from jaxrl_evolve.meta.gradient_config import GradientConfig
    from jaxrl_evolve.meta.horizon_config import HorizonConfig
    from jaxrl_evolve.meta.outcome import MetaTrainResult
    from jaxrl_evolve.meta.persistent_config import PersistentConfig
    from jaxrl_evolve.meta.sweep import meta_sweep
    from jaxrl_evolve.meta.train import meta_train

_MODULE_OF = {
    "EvolutionConfig": "evolution_config",
    "FitnessConfig": "fitness_config",
    "GradientConfig": "gradient_config",
    "HorizonConfig": "horizon_config",
    "MetaTrainConfig": "config",
    "MetaTrainResult": "outcome",
    "PersistentConfig": "persistent_config",
    "meta_sweep": "sweep",
    "meta_train": "train",
}

__all__ = [
    "EvolutionConfig",
    "FitnessConfig",
    "GradientConfig",
    "HorizonConfig",
    "MetaTrainConfig",
    "MetaTrainResult",
    "PersistentConfig",
    "meta_sweep",
    "meta_train",
]

__getattr__ = on_first_use(__name__, _MODULE_OF)
