"""Files and folders by the names that graphs give them. The only user of ``folder_paths``; called by ``load``, ``clips`` and ``legacy``."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path, PurePosixPath

import folder_paths

MODULES = "animatediff_models"
LORAS = "animatediff_motion_lora"
IMAGE_LORAS = "loras"
CONTROLS = "controlnet"
CHECKPOINTS = "checkpoints"


def register_model_folders() -> None:
    """Make ``models/animatediff_models`` and ``models/animatediff_motion_lora`` known, as other packs name them.

    What is trained is saved in folders of these names below the output folder, as the host does with its own models.
    """
    for key in (MODULES, LORAS):
        folder_paths.add_model_folder_path(key, os.path.join(folder_paths.models_dir, key))
        folder_paths.add_model_folder_path(key, os.path.join(folder_paths.get_output_directory(), key))
        folder_paths.folder_names_and_paths[key][1].update(folder_paths.supported_pt_extensions)


def files_in(folder: str) -> list[str]:
    """The files of a model folder, as the host lists them."""
    return folder_paths.get_filename_list(folder)


def modified(folder: str, name: str) -> int | None:
    """When a file last changed, in nanoseconds; part of what tells the host to run a node again."""
    path = folder_paths.get_full_path(folder, name)
    return os.stat(path).st_mtime_ns if path else None


def path_of(folder: str, name: str) -> str:
    """The path of a file. Raises FileNotFoundError, by the host, for one that is not there."""
    return folder_paths.get_full_path_or_raise(folder, name)


def images_in(directory: str) -> list[str] | None:
    """The files of a folder of ComfyUI's input folder in the order of their names, as Load Image takes them; None for other folders.

    Files that are no images are empty names, so that numbers of files are those of the folder.
    """
    root = os.path.realpath(folder_paths.get_input_directory())
    path = os.path.realpath(os.path.join(root, directory))
    if not os.path.isdir(path) or os.path.commonpath((root, path)) != root:
        return None
    names = sorted(os.listdir(path))
    images = set(folder_paths.filter_files_content_types([name for name in names if os.path.isfile(os.path.join(path, name))], ["image"]))
    return [os.path.relpath(os.path.join(path, name), root) if name in images else "" for name in names]


def input_folders() -> list[str]:
    """The folders below ComfyUI's input folder, as the host's dataset nodes list them."""
    return folder_paths.get_input_subfolders()


def input_folder(name: str) -> Path:
    """A folder below ComfyUI's input folder. Raises ValueError for one that lies elsewhere or is not there."""
    root = Path(folder_paths.get_input_directory())
    path = Path(os.path.normpath(root / name))  # links that the owner made are followed, ways upwards are not
    if not path.is_relative_to(root) or path == root or not path.is_dir():
        raise ValueError(f"{root} has no folder {name!r}. Put the files into a folder there, reload the page and choose it.")
    return path


def state_of(folder: str) -> str | None:
    """What changes when a file in a folder of the input folder does; part of what tells the host to run a node again."""
    try:
        path = input_folder(folder)
    except ValueError:
        return None
    hashed, seen = hashlib.blake2b(digest_size=16), set()
    for parent, folders, names in os.walk(path, followlinks=True):
        if (real := os.path.realpath(parent)) in seen:  # a link may lead back
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        for name in sorted(names):
            with contextlib.suppress(OSError):
                state = os.stat(os.path.join(parent, name))
                hashed.update(f"{parent}/{name}:{state.st_size}:{state.st_mtime_ns};".encode(errors="surrogateescape"))
    return hashed.hexdigest()


def same_file(folder: str, name: str) -> str | None:
    """What a file that a graph names is called here, where people keep it in another folder or with another extension.

    Returns:
        ``name`` itself if there is such a file, else the one file of the same name in another folder, else of the same stem; the
        first in the host's order if there are several, and None if there is none.
    """
    names = files_in(folder)
    if name in names:
        return name
    for alike in (_whole, _base, _stem):
        wanted = alike(name)
        if (found := next((candidate for candidate in names if alike(candidate) == wanted), None)) is not None:
            return found
    return None


def _whole(name: str) -> str:
    return name.replace("\\", "/")


def _base(name: str) -> str:
    return PurePosixPath(_whole(name)).name.lower()


def _stem(name: str) -> str:
    return PurePosixPath(_base(name)).stem
