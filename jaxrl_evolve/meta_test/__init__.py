"""Meta-testing: learned objectives against each other, against clocks that lie, and against tuned baselines."""

from jaxrl_evolve.meta_test.config import MetaTestConfig, TuningConfig
from jaxrl_evolve.meta_test.run import MetaTestResult, meta_test

__all__ = ["MetaTestConfig", "MetaTestResult", "TuningConfig", "meta_test"]
