"""Meta-training: objectives that improve by what becomes of the agents that learn by them."""

from jaxrl_evolve.meta.config import MetaTrainConfig
from jaxrl_evolve.meta.evolution import EvolutionConfig
from jaxrl_evolve.meta.gradient_config import GradientConfig
from jaxrl_evolve.meta.horizons import HorizonConfig
from jaxrl_evolve.meta.lifetimes import FitnessConfig
from jaxrl_evolve.meta.outcome import MetaTrainResult
from jaxrl_evolve.meta.persistent_config import PersistentConfig
from jaxrl_evolve.meta.sweep import meta_sweep
from jaxrl_evolve.meta.train import meta_train

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
