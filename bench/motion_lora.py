"""A motion LoRA that the graph `workflows/train_motion_lora.json` trains in a running server, measured on the small world.

The graph runs as a user would run it, with a folder of drawn pictures in place of the example picture, the sizes of the world and a
learning rate that suits it. Then the saved file is put on the motion module and animations of other seeds are measured: whether the
camera goes the right way, and how far. The exit status is 1 when it does in less than 95 % of them, or when training took more than ten
minutes. `--ranks` and `--clips` train others beside it and print a table (paper, figure 7).

`python3 dev.py bench motion_lora` runs this file.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
HERE = Path(__file__).resolve().parent
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() not in (REPOSITORY, HERE)]
sys.path.append(str(REPOSITORY))  # last: nothing of ours may hide the host

from demo.animate import TINY_MODELS  # noqa: E402
from demo.client import ComfyClient, workflow_to_prompt  # noqa: E402
from demo.environment import Environment  # noqa: E402
from demo.server import Server  # noqa: E402
from demo.world.prompts import INSTEAD, RESTING, SETTINGS, VIEW, Prompt  # noqa: E402

WORKFLOW = REPOSITORY / "workflows" / "train_motion_lora.json"
MOVE, AMOUNT, RANK, CLIPS = "pan left", 0.6, 16, 20
LIMIT, MINUTES = 0.95, 10.0
PICTURE = 116  # pixels of a side: the view, and what the widest of the varied pans needs
SEED = 2026
TRAINING = {"steps": 400, "learning_rate": 8e-3, "batch_size": 4, "training_dtype": "fp32", "gradient_checkpointing": False, "state_name": ""}
OPTIONS = {
    "noise_bias": 2.0, "schedule": "cosine", "warm_up": 10, "average": 0.98, "caption_dropout": 0.0, "min_snr": 5.0, "debias": 0.6,
    "gradient_limit": 1.0, "weight_decay": 0.01,
}  # fmt: skip


def write_pictures(folder: Path, count: int, seed: int = SEED) -> None:
    """As many drawn pictures larger than the view, each with its caption beside it."""
    import torch
    from PIL import Image

    from demo.world.clips import to_bytes
    from demo.world.scene import draw, scene

    random = torch.Generator().manual_seed(seed)
    folder.mkdir(parents=True)
    for number in range(count):
        what = scene(random, motion="rests")  # as pictures do
        Image.fromarray(to_bytes(draw(what, [0.0], PICTURE))[0].numpy()).save(folder / f"{number:03}.png")
        (folder / f"{number:03}.txt").write_text(what.caption, encoding="utf-8")


def training_prompt(graph: Mapping[str, Any], folder: str, rank: int = RANK, **changes: Any) -> Prompt:
    """The graph's prompt with a folder of pictures in place of the one that it repeats.

    Args:
        changes: other values of the training node.
    """
    made = deepcopy(dict(graph))
    by_kind = {node["class_type"]: key for key, node in made.items()}
    for kind in ("LoadImage", "RepeatImageBatch", "PrimitiveStringMultiline"):
        del made[by_kind[kind]]
    made["pictures"] = {"class_type": "LoadImageTextDataSetFromFolder", "inputs": {"folder": folder}}
    made[by_kind["MotionTrainingOptions"]]["inputs"].update(OPTIONS)
    for node in made.values():
        node["inputs"] = {name: INSTEAD.get(value, value) if isinstance(value, str) else value for name, value in node["inputs"].items()}
        if node["class_type"] == "CLIPTextEncode":
            node["inputs"]["text"] = ""
    made[by_kind["CameraClips"]]["inputs"].update(images=["pictures", 0], captions=["pictures", 1], move=MOVE, amount=AMOUNT, width=VIEW, height=VIEW)
    made[by_kind["TrainMotionLoRA"]]["inputs"].update(TRAINING, rank=rank, **changes)
    preview = made[by_kind["MotionTrainingPreview"]]["inputs"]
    preview.update(cfg=SETTINGS["cfg"])
    made[preview["positive"][0]]["inputs"]["text"] = RESTING
    return made


def trained(folder: Path, cases: list[tuple[int, int]], steps: int) -> Iterator[tuple[int, int, Path, float]]:
    """Rank, clips, file and seconds of each case, trained in one server."""
    with tempfile.TemporaryDirectory() as made:
        pictures, output = Path(made, "input"), Path(made, "output")
        output.mkdir()
        for count in {clips for _, clips in cases}:
            write_pictures(pictures / f"world_{count}", count)
        environment = Environment(Path(os.environ["COMFYUI_PATH"]), Path(sys.executable), folder.parent)
        arguments = ("--input-directory", str(pictures), "--output-directory", str(output))
        with Server(environment, Path(made, "server.log"), arguments=arguments) as server:
            client = ComfyClient(server.url)
            graph = workflow_to_prompt(json.loads(WORKFLOW.read_text(encoding="utf-8")), client.object_info(), TINY_MODELS)
            files: list[tuple[int, int, Path, float]] = []
            for rank, clips in cases:
                begun = time.monotonic()
                client.run(training_prompt(graph, f"world_{clips}", rank, steps=steps), timeout=3600)
                newest = max(output.rglob("*.safetensors"), key=lambda file: file.stat().st_mtime)
                files.append((rank, clips, newest, time.monotonic() - begun))
                sys.stderr.write(f"rank {rank}, {clips} clips: trained in {files[-1][3]:.0f} s\n")
        yield from files  # the server has ended: measuring has the processor for itself


def main() -> int:
    """Train, measure, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="in the base directory with the tiny models")
    parser.add_argument("--seeds", type=int, default=32, help="animations that a LoRA is judged by")
    parser.add_argument("--steps", type=int, default=TRAINING["steps"], help="of each training")
    parser.add_argument("--ranks", type=int, nargs="*", default=[], metavar="N", help=f"more ranks, with {CLIPS} clips")
    parser.add_argument("--clips", type=int, nargs="*", default=[], metavar="N", help=f"more numbers of clips, with rank {RANK}")
    given = parser.parse_args()
    more = [(rank, CLIPS) for rank in given.ranks if rank != RANK] + [(RANK, clips) for clips in given.clips if clips != CLIPS]
    sys.argv = sys.argv[:1]  # the host reads the command line too
    sys.path.insert(0, os.environ["COMFYUI_PATH"])
    from comfy.cli_args import args

    args.cpu = True
    from demo.world.trials import Trials, camera_way

    trials, failed = Trials(given.seeds), False
    print(f"| {MOVE}: rank | clips | minutes | sign right | amount per frame | spread |\n|---|---|---|---|---|---|", flush=True)
    for rank, clips, file, seconds in trained(given.folder, [(RANK, CLIPS), *more], given.steps):
        ways = camera_way(trials, file, MOVE)
        right = sum(way > 0 for way in ways) / len(ways)
        mean = sum(ways) / len(ways)
        spread = (sum((way - mean) ** 2 for way in ways) / len(ways)) ** 0.5
        print(f"| {rank} | {clips} | {seconds / 60:.1f} | {right:.0%} | {mean:.2f} | {spread:.2f} |", flush=True)
        if (rank, clips) == (RANK, CLIPS):
            failed = right < LIMIT or seconds > 60 * MINUTES
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
