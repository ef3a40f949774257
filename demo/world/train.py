"""`python3 dev.py train-world`: train the networks of the small world, one stage after another, and write their files.

Run inside the environment of the demo: `python -m demo.world.train DIRECTORY`. Every stage saves where it is to
DIRECTORY every 90 seconds and goes on from there.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path


def main() -> None:
    """Read the command line and train the stages that it names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("state", type=Path, help="where the state of the trainings is kept")
    parser.add_argument("stages", nargs="*", default=["autoencoder", "image"])
    given = parser.parse_args()
    sys.argv = sys.argv[:1]  # the host reads the command line too
    from comfy.cli_args import args

    args.cpu = True
    from . import autoencoder, image

    def report(text: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)

    for stage in given.stages:
        report(stage)
        if stage == "autoencoder":
            autoencoder.train(given.state / "autoencoder.pt", report)
        elif stage == "image":
            weights = autoencoder.weights(given.state / "autoencoder.pt")
            image.train(given.state / "image.pt", weights, given.state / "pictures.pt", report)


if __name__ == "__main__":
    main()
