"""`python3 dev.py train-world`: train the networks of the small world, one stage after another, and write their files.

Run inside the environment of the demo: `python -m demo.world.train STATE [stages]`. Every stage keeps where it is in STATE and goes on
from there; what is finished is written to `weights/`, which is what the demo uses and what is committed.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import torch.distributed as dist

from . import files

if TYPE_CHECKING:
    from .place import Place

REPOSITORY = Path(__file__).resolve().parents[2]
STAGES = ("autoencoder", "image", "adapter", "motion", "camera", "sparse")


def report(text: str) -> None:
    """Say something, with the time."""
    if os.environ.get("RANK", "0") == "0":
        print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def run(stage: str, place: Place) -> None:
    """Train one stage to its end and write its files. The stages before it are finished. Several processes share its batches."""
    if stage == "autoencoder":
        from . import autoencoder

        place.export(autoencoder.train(place), stage, files.WEIGHTS)
    elif stage == "image":
        from . import image

        place.export(image.train(place, files.load("autoencoder")), stage, files.WEIGHTS)
    else:
        from . import video

        video.train(stage, place)


def main() -> None:
    """Read the command line and train the stages that it names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("state", type=Path, help="where the state of the trainings is kept")
    parser.add_argument("stages", nargs="*", help=f"of {', '.join(STAGES)}; all of them when none is named")
    given = parser.parse_args()
    unknown = set(given.stages) - set(STAGES)
    if unknown:
        parser.error(f"unknown stages: {', '.join(sorted(unknown))}")
    sys.argv = sys.argv[:1]  # the host reads the command line too
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != REPOSITORY]  # our `nodes` would hide the host's
    from comfy.cli_args import args

    args.cpu = True
    if "RANK" in os.environ:  # under torchrun
        dist.init_process_group("gloo", timeout=timedelta(days=1))
    from .place import ConsoleWatch, Place, Processes, Several

    ears = ConsoleWatch(says=False)
    ears.listen()
    place = Place(given.state, report, Several() if dist.is_initialized() else Processes(), ears.stops)
    try:
        for stage in given.stages or STAGES:
            report(stage)
            run(stage, place)
    except FileNotFoundError as error:
        raise SystemExit(f"{error.filename} is missing. Train the stages before this one first: {', '.join(STAGES)}.") from error
    except ValueError as error:
        raise SystemExit(f"{error} A state of {given.state} is gone on from with as many processes as before; to begin a stage anew, delete it.") from error


if __name__ == "__main__":
    main()
