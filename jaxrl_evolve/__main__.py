"""``python -m jaxrl_evolve`` is the command ``jaxrl-evolve``."""

import sys

from jaxrl_evolve.cli import main

sys.exit(main())
