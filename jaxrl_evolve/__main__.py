"""``python -m jaxrl_evolve`` is the command ``jaxrl-evolve``."""

import sys

from jaxrl_evolve.command.main import main

sys.exit(main())
