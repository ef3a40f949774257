"""The pictures of this repository: the demo's, for the README, and a moving thumbnail for each graph that shows something.

`python3 dev.py gallery` makes them anew, from the graphs of `workflows/` on the small world; what it writes is committed. ComfyUI's
template browser shows `workflows/NAME.jpg` beside the graph of that name. It looks at the content and not at the name, so that an
animated WEBP under it moves.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

from .animate import FRAMES, TINY_MODELS, WORKFLOW, animate, fetched, run_script, show_progress
from .cache import SetupError, say
from .client import ComfyClient, workflow_to_prompt
from .environment import REPOSITORY, Environment
from .server import Server
from .world.prompts import CAPTIONS, saved_as, world_prompt
from .world.trained import untrained

PICTURES = REPOSITORY / "docs" / "pictures"
SIDE = 128  # pixels of a thumbnail


def gallery(environment: Environment, names: list[str]) -> list[Path]:
    """Make the pictures of the README and of these graphs (all that show something when none is named); returns their files.

    Raises: SetupError where weights are missing or a graph shows nothing, PromptError and RuntimeError as `animate` does.
    """
    if untrained():
        raise SetupError(f"Pictures of random networks show nothing. Train the small world first; missing: {', '.join(untrained())}.")
    unknown = sorted(set(names) - set(CAPTIONS))
    if unknown:
        raise SetupError(f"These graphs show nothing in the small world: {', '.join(unknown)}. These do: {', '.join(CAPTIONS)}.")
    made = [] if names else _readme(environment)
    with tempfile.TemporaryDirectory() as folder:
        arguments = ("--output-directory", folder)
        with Server(environment, environment.base / "gallery_server.log", arguments=arguments) as server:
            client = ComfyClient(server.url)
            made += [_thumbnail(environment, client, name, Path(folder)) for name in names or CAPTIONS]
    return made


def _readme(environment: Environment) -> list[Path]:
    PICTURES.mkdir(parents=True, exist_ok=True)
    made = []
    with tempfile.TemporaryDirectory() as folder:
        for file in animate(environment, Path(folder)):
            if file.suffix in (".webp", ".png"):
                made.append(Path(shutil.copy(file, PICTURES / f"demo_{file.name}")))
    return made


def _thumbnail(environment: Environment, client: ComfyClient, name: str, folder: Path) -> Path:
    graph = WORKFLOW.with_name(f"{name}.json")
    say(f"  {name}: {CAPTIONS[name]}")
    prompt = world_prompt(name, workflow_to_prompt(json.loads(graph.read_text(encoding="utf-8")), client.object_info(), TINY_MODELS))
    animation = fetched(client, client.run(saved_as(prompt, name, video=False), show_progress), folder)
    target = graph.with_suffix(".jpg")
    run_script(environment.python, "thumbnail", str(animation), str(target), str(SIDE), str(FRAMES))
    return target
