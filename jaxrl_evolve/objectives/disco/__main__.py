"""``python -m jaxrl_evolve.objectives.disco WEIGHTS OUT``: the published weights as a stored objective."""

import sys

import tyro
from tyro.conf import Positional

from jaxrl_evolve.objectives.disco.published import convert
from jaxrl_evolve.objectives.time_config import NO_TIME, TimeFeatures


def main(weights: Positional[str], out: Positional[str], clock: bool = False) -> None:
    """Write the published weights of a Disco rule as a stored objective.

    Args:
        weights: the published file, such as disco_103.npz.
        out: the file to write, such as my-disco.npz.
        clock: make it clock-conditioned, by kernels of zeros.
    """
    convert(weights, out, TimeFeatures(("fraction",)) if clock else NO_TIME)
    print(f"jaxrl-evolve train disco --env Catch-bsuite --objective {out} --out runs/catch")


if __name__ == "__main__":
    try:
        tyro.cli(main, prog="python -m jaxrl_evolve.objectives.disco")
    except ValueError as error:
        print(f"disco: {error}", file=sys.stderr)
        sys.exit(2)
