"""The demo: run the text-to-video workflow on the small world in a real ComfyUI, and bring the animations home."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .cache import SetupError, say
from .client import ComfyClient, workflow_to_prompt
from .environment import REPOSITORY, Environment, child_environment
from .server import Server
from .world.prompts import (
    CAPTION,
    RESTING,
    Prompt,
    captioned,
    enlarged,
    saved_as,
    with_motion_lora,
    without_module,
    world_prompt,
)

WORKFLOW = REPOSITORY / "workflows" / "text_to_video.json"
FRAMES = 16
SHOWN = 8  # frames of each animation on the comparison sheet
LARGER = 3  # times, for pictures of 64 pixels
PAN = "v2_lora_PanLeft.ckpt"

# The checkpoints and controls in the workflows, and the tiny ones that stand in. Motion files have their real names.
TINY_MODELS = {
    "dreamshaper_8.safetensors": "tiny_sd15.safetensors",
    "sd_xl_base_1.0.safetensors": "tiny_sdxl.safetensors",
    "control_v11f1p_sd15_depth.pth": "tiny_controlnet.safetensors",
    "my_style_lora.safetensors": "AnimateLCM_sd15_t2v_lora.safetensors",
    "v3_sd15_sparsectrl_rgb.ckpt": "mm_sd15_v3_sparsectrl_rgb.safetensors",
    "v3_sd15_sparsectrl_scribble.ckpt": "mm_sd15_v3_sparsectrl_scribble.safetensors",
}


class Row(NamedTuple):
    """An animation of the comparison: a name for its file, what is written beside it, and what makes it."""

    name: str
    title: str
    caption: str
    prompt: Prompt


def animate(environment: Environment, output: Path, port: int | None = None, larger: int = LARGER) -> list[Path]:
    """Make the demo animation and return its files: an animated WEBP, an MP4, a contact sheet and the comparison sheet.

    Args:
        larger: how many times as wide and as high as they are made the pictures are saved.

    Raises: SetupError and PromptError with what went wrong; RuntimeError when the frames are not an animation.
    """
    output = _output_directory(output)
    with (
        tempfile.TemporaryDirectory() as made,  # a fresh folder, so that the files have the same names every time
        Server(environment, environment.base / "demo_server.log", port, ("--output-directory", made)) as server,
    ):
        say(f"ComfyUI runs at {server.url}")
        client = ComfyClient(server.url)
        prompt = world_prompt(WORKFLOW.stem, tiny_prompt(client.object_info()))
        outputs = client.run(enlarged(saved_as(prompt, "animation"), larger), show_progress)
        files = [_fetch(client, file, output) for file in _output_files(outputs)]
        sheet = output / "contact_sheet.png"
        run_script(environment.python, "contact_sheet", str(_animation_of(files)), str(sheet), str(FRAMES))
        compared = _compare(environment, client, prompt, output / "comparison.png", larger)
    return [*files, sheet, compared]


def tiny_prompt(object_info: Mapping[str, Any]) -> Prompt:
    """The workflow as a prompt, with the tiny models' names."""
    return workflow_to_prompt(json.loads(WORKFLOW.read_text(encoding="utf-8")), object_info, TINY_MODELS)


def compared_rows(prompt: Prompt) -> list[Row]:
    """What the comparison sheet shows, from top to bottom: all of one seed, and made of one prompt."""
    resting = captioned(prompt, RESTING)
    pans = [
        Row(f"pan_{number}", f"motion LoRA pan left at {strength:g}", RESTING, with_motion_lora(resting, PAN, strength))
        for number, strength in enumerate((-1.0, 0.0, 1.0))
    ]
    return [
        Row("moving", "with the motion module", CAPTION, prompt),
        Row("still", "the same seed without it", CAPTION, without_module(prompt)),
        *pans,
    ]


def _compare(environment: Environment, client: ComfyClient, prompt: Prompt, sheet: Path, larger: int) -> Path:
    """Make the animations of the comparison and put frames of them on one sheet."""
    with tempfile.TemporaryDirectory() as folder:
        rows = []
        for row in compared_rows(prompt):
            say(f"  {row.title}: {row.caption}")
            outputs = client.run(enlarged(saved_as(row.prompt, f"{row.name}_row", video=False), larger))
            file = fetched(client, outputs, Path(folder))
            rows.append({"title": row.title, "caption": row.caption, "animation": str(file)})
        run_script(environment.python, "comparison", json.dumps(rows), str(sheet), str(FRAMES), str(SHOWN))
    return sheet


def _output_directory(output: Path) -> Path:
    output = output.expanduser().resolve()
    try:
        output.mkdir(parents=True, exist_ok=True)
        if output.is_relative_to(REPOSITORY):
            (output / ".gitignore").write_text("*\n", encoding="utf-8")
    except OSError as error:
        raise SetupError(f"The folder {output} for the results cannot be used: {error}. Choose one with --output.") from error
    return output


def show_progress(node: str, step: int, steps: int) -> None:
    """Print the steps of a node, for `ComfyClient.run`."""
    if steps > 1:
        say(f"  sampling {step}/{steps}")


def _output_files(outputs: Mapping[str, Any]) -> Iterator[Mapping[str, str]]:
    """The files in the outputs of all nodes; each kind of output node puts them under another name."""
    for node in outputs.values():
        for entries in node.values():
            for entry in entries:
                if isinstance(entry, Mapping) and "filename" in entry and entry.get("type") == "output":
                    yield entry


def fetched(client: ComfyClient, outputs: Mapping[str, Any], folder: Path) -> Path:
    """The first file that a prompt saved, brought to a folder."""
    return _fetch(client, next(_output_files(outputs)), folder)


def _fetch(client: ComfyClient, file: Mapping[str, str], output: Path) -> Path:
    name = Path(file["filename"])
    path = output / f"{name.stem.rstrip('_0123456789')}{name.suffix}"  # ComfyUI numbers its files
    path.write_bytes(client.view(file))
    return path


def _animation_of(files: list[Path]) -> Path:
    for file in files:
        if file.suffix == ".webp":
            return file
    raise RuntimeError(f"The workflow should have saved a .webp file; it saved {[file.name for file in files]}.")


def run_script(python: Path, name: str, *arguments: str) -> None:
    """Run a script of this folder that needs Pillow. Raises RuntimeError with what it complains of."""
    command = [str(python), "-m", f"{__package__}.{name}", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY, env=child_environment())
    if result.returncode != 0:
        raise RuntimeError(result.stderr.strip())
