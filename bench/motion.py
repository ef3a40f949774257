"""What the paper claims, measured on the small trained world: `python3 dev.py bench motion`.

Prints a table: what is claimed, mean and spread over the seeds, the limit, and whether it holds. The exit status is 1 when a claim
does not hold. `--seeds` and the parts (image, motion, camera, adapter, sparse, long) make it shorter.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
HERE = Path(__file__).resolve().parent
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() not in (REPOSITORY, HERE)]


def main() -> int:
    """Read the command line, measure, print; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", help="image, motion, camera, adapter, sparse, long; all of them when none is named")
    parser.add_argument("--folder", type=Path, help="not used here")
    parser.add_argument("--seeds", type=int, default=32, help="samples per claim")
    parser.add_argument("--weights", type=Path, help="a folder of other trained files than those of demo/world/weights")
    parser.add_argument("--steps", type=int, help="of each sample, instead of what demo/world/trials.py says")
    given = parser.parse_args()
    sys.argv = sys.argv[:1]  # the host reads the command line too
    sys.path.insert(0, os.environ["COMFYUI_PATH"])
    from comfy.cli_args import args

    args.cpu = True
    sys.path.append(str(REPOSITORY))  # last: nothing of ours may hide the host
    from demo.world.files import WEIGHTS
    from demo.world.trials import PARTS, Trials

    if unknown := set(given.parts) - set(PARTS):
        parser.error(f"unknown parts: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    trials, failed = Trials(given.seeds, given.weights or WEIGHTS), 0
    if given.steps:
        trials.sampling = replace(trials.sampling, steps=given.steps)
    print("| claim | mean | spread | limit | holds |\n|---|---|---|---|---|", flush=True)
    for part in given.parts or PARTS:
        begun = time.monotonic()
        for row in PARTS[part](trials):
            limit = "" if row.limit is None else f"{row.comparison} {row.limit:g}"
            failed += not row.holds
            print(f"| {row.claim} | {row.mean:.3f} | {row.spread:.3f} | {limit} | {'yes' if row.holds else 'NO'} |", flush=True)
        print(f"| ({part}: {time.monotonic() - begun:.0f} s) | | | | |", flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except FileNotFoundError as error:
        sys.exit(f"{error.filename} is missing: `python3 dev.py train-world` trains it.")
