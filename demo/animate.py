"""The demo: run the text-to-video workflow on tiny models in a real ComfyUI, and bring the animation home."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .cache import SetupError, say
from .client import ComfyClient, workflow_to_prompt
from .environment import REPOSITORY, Environment
from .server import Server

WORKFLOW = REPOSITORY / "workflows" / "text_to_video.json"
FRAMES = 16

# The checkpoints and controls in the workflows, and the tiny ones that stand in. Motion files have their real names.
TINY_MODELS = {
    "dreamshaper_8.safetensors": "tiny_sd15.safetensors",
    "sd_xl_base_1.0.safetensors": "tiny_sdxl.safetensors",
    "control_v11f1p_sd15_depth.pth": "tiny_t2i_adapter.safetensors",
    "my_style_lora.safetensors": "AnimateLCM_sd15_t2v_lora.safetensors",
    "v3_sd15_sparsectrl_rgb.ckpt": "mm_sd15_v3_sparsectrl_rgb.safetensors",
    "v3_sd15_sparsectrl_scribble.ckpt": "mm_sd15_v3_sparsectrl_scribble.safetensors",
}

# Values that make the workflow small enough for a processor, by input name.
SMALL = {"width": 128, "height": 128, "batch_size": FRAMES, "steps": 8}


def animate(environment: Environment, output: Path, port: int | None = None) -> list[Path]:
    """Make the demo animation and return its files: an animated WEBP, an MP4 and a contact sheet.

    Raises: SetupError and PromptError with what went wrong; RuntimeError when the frames are not an animation.
    """
    output = _output_directory(output)
    with (
        tempfile.TemporaryDirectory() as made,  # a fresh folder, so that the files have the same names every time
        Server(environment, environment.base / "demo_server.log", port, ("--output-directory", made)) as server,
    ):
        say(f"ComfyUI runs at {server.url}")
        client = ComfyClient(server.url)
        outputs = client.run(small_prompt(client.object_info()), _show_progress)
        files = [_fetch(client, file, output) for file in _output_files(outputs)]
    sheet = output / "contact_sheet.png"
    _make_sheet(environment.python, _animation_of(files), sheet)
    return [*files, sheet]


def small_prompt(object_info: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The workflow as a prompt for the tiny models."""
    graph = json.loads(WORKFLOW.read_text(encoding="utf-8"))
    prompt = workflow_to_prompt(graph, object_info, TINY_MODELS)
    for node in prompt.values():
        node["inputs"].update({name: value for name, value in SMALL.items() if name in node["inputs"]})
    return prompt


def _output_directory(output: Path) -> Path:
    output = output.expanduser().resolve()
    try:
        output.mkdir(parents=True, exist_ok=True)
        if output.is_relative_to(REPOSITORY):
            (output / ".gitignore").write_text("*\n", encoding="utf-8")
    except OSError as error:
        raise SetupError(f"The folder {output} for the results cannot be used: {error}. Choose one with --output.") from error
    return output


def _show_progress(node: str, step: int, steps: int) -> None:
    if steps > 1:
        say(f"  sampling {step}/{steps}")


def _output_files(outputs: Mapping[str, Any]) -> Iterator[Mapping[str, str]]:
    """The files in the outputs of all nodes; each kind of output node puts them under another name."""
    for node in outputs.values():
        for entries in node.values():
            for entry in entries:
                if isinstance(entry, Mapping) and "filename" in entry and entry.get("type") == "output":
                    yield entry


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


def _make_sheet(python: Path, animation: Path, sheet: Path) -> None:
    script = Path(__file__).with_name("contact_sheet.py")
    command = [str(python), str(script), str(animation), str(sheet), str(FRAMES)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise RuntimeError(result.stderr.strip())
