"""The host's folders, its names of files, and its encoder of videos."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import folder_paths
from comfy.cli_args import args
from comfy_api.latest import InputImpl, Types
from torch import Tensor


@dataclass(frozen=True)
class OutputFile:
    """A file that is written, in the words that the host's front end asks for it with.

    Attributes:
        path: where.
        filename: without folders.
        subfolder: of the host's output or temporary folder.
        kept: in the output folder; otherwise in the temporary one.
    """

    path: Path
    filename: str
    subfolder: str
    kept: bool


def output_file(prefix: str, suffix: str, size: tuple[int, int], kept: bool) -> OutputFile:
    """The next free file name that begins with ``prefix``, as all savers of the host name files; folders are made.

    Args:
        prefix: subfolders and the beginning of the name, with ``%year%``, ``%width%`` and the like.
        suffix: of the file, without a dot.
        size: width and height, for ``%width%`` and ``%height%``.
        kept: in the output folder; otherwise in the temporary one.

    Raises:
        ValueError: no name, or one outside of that folder.
    """
    root = folder_paths.get_output_directory() if kept else folder_paths.get_temp_directory()
    if not prefix.strip() or not Path(prefix).name.strip("."):
        raise ValueError(f"filename_prefix is to begin a file's name, such as video/AnimateDiff; got {prefix!r}.")
    if not (Path(root) / prefix).resolve().is_relative_to(Path(root).resolve()):
        raise ValueError(
            f"Files are saved in ComfyUI's folder {root} or below it; filename_prefix {prefix!r} lies outside. Give a name such "
            "as video/AnimateDiff; --output-directory moves the folder."
        )
    folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(prefix, root, *size)
    filename = f"{name}_{counter:05}_.{suffix}"
    return OutputFile(Path(folder) / filename, filename, subfolder, kept)


def output_folder(name: str) -> Path:
    """A folder of the host's output folder; it may not exist yet."""
    return Path(folder_paths.get_output_directory()) / name


def keeps_metadata() -> bool:
    """Whether files may remember their workflow; the user can forbid it for all savers."""
    return not args.disable_metadata


def write_video(
    path: Path, frames: Tensor, frame_rate: Fraction, crf: float, audio: Any, metadata: dict[str, Any]
) -> bool:
    """An MP4 by the host's encoder: H.264, 4:2:0, with AAC sound. Hosts before 0.30 choose the quality themselves.

    Args:
        path: of the file.
        frames: ``(N, H, W, 3)`` with even height and width, 0 to 1.
        frame_rate: per second; the host writes it to three digits.
        crf: H.264's constant rate factor.
        audio: an AUDIO, which ends with the frames, or None.
        metadata: by name; written as JSON.

    Returns:
        Whether the quality is the one that was asked for.
    """
    components = Types.VideoComponents(images=frames, audio=audio, frame_rate=frame_rate)
    video = InputImpl.VideoFromComponents(components)
    takes_crf = "crf" in inspect.signature(video.save_to).parameters
    quality: dict[str, Any] = {"crf": crf} if takes_crf else {}
    container, codec = Types.VideoContainer.MP4, Types.VideoCodec.H264
    video.save_to(str(path), format=container, codec=codec, metadata=metadata or None, **quality)
    return takes_crf
