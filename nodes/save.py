"""The frames as a file: animated WEBP, GIF or MP4."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..sampling.files.palette import DITHERS
from ..sampling.files.save import FILE_FORMATS, SaveOptions, save_animation
from .types import CATEGORY, choice, count, graph_of, number, played


class SaveAnimation(io.ComfyNode):
    """IMAGE -> a file, played on the node."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        name = "Beginning of the file's name; may hold folders, and %date:yyyy-MM-dd% or %width% as in other save nodes."
        loops = "How often a webp or gif is played; 0 is for ever. A player decides it for mp4."
        quality = "Of webp and mp4: 80 looks like the frames, more makes large files. A gif has none."
        dither = (
            "How a gif mixes the colours its palette lacks: floyd_steinberg is finest, ordered makes smaller files whose "
            "still parts stay still, none leaves bands."
        )
        return io.Schema(
            node_id="SaveAnimation",
            display_name="Save Animation",
            category=CATEGORY,
            description="Saves the frames as an animated WEBP, GIF or MP4 with the workflow inside, and plays it.",
            search_aliases=["combine", "video combine", "animatediff combine", "save gif", "save webp", "save mp4", "export"],
            is_output_node=True,
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo],
            inputs=[
                io.Image.Input("images", tooltip="The frames, in their order."),
                number("frame_rate", 8.0, 0.1, 240.0, "How fast it plays; 8 is usual.", unit="frames per second"),
                io.String.Input("filename_prefix", default="AnimateDiff", tooltip=name),
                choice("format", FILE_FORMATS, FILE_FORMATS[0], "webp and mp4 look best; a gif has 256 colours."),
                io.Boolean.Input("ping_pong", default=False, tooltip="Forwards, then backwards, so that it loops."),
                count("loop_count", 0, 0, 1000, loops),
                count("quality", 80, 0, 100, quality),
                io.Boolean.Input("lossless", default=False, advanced=True, tooltip="For webp: every pixel is kept."),
                choice("dither", DITHERS, DITHERS[0], dither, advanced=True),
                io.Boolean.Input(
                    "save_output", default=True, advanced=True, tooltip="Off: only shown, in ComfyUI's temporary folder."
                ),
                io.Audio.Input("audio", optional=True, tooltip="Sound for an mp4. It is cut where the frames end."),
            ],
            outputs=[io.Image.Output("images", tooltip="The frames as they came in.")],
        )

    @classmethod
    def execute(
        cls,
        images: io.Image.Type,
        frame_rate: float = 8.0,
        filename_prefix: str = "AnimateDiff",
        format: str = FILE_FORMATS[0],
        ping_pong: bool = False,
        loop_count: int = 0,
        quality: int = 80,
        lossless: bool = False,
        dither: str = DITHERS[0],
        save_output: bool = True,
        audio: Any = None,
    ) -> io.NodeOutput:
        options = SaveOptions(
            frame_rate=frame_rate,
            filename_prefix=filename_prefix,
            format=format,
            ping_pong=ping_pong,
            loop_count=loop_count,
            quality=quality,
            lossless=lossless,
            dither=dither,
            save_output=save_output,
        )
        return io.NodeOutput(images, ui=played(save_animation(images, options, audio, graph_of(cls.hidden))))
