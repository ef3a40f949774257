"""Training clips: from a folder of videos to frames, latents and prompts, and camera moves made of any frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from comfy_api.latest import io

from ..training.clips.camera import CAMERA_EASINGS, CAMERA_MOVES
from ..training.clips.encode import encode_clips
from ..training.clips.fit import CROP, FITS
from ..training.clips.load import MIDDLE, TAKEN_FROM, ClipOptions, load_clips
from ..training.clips.moves import CameraOptions, camera_clips
from ..training.clips.preview import preview
from .files import input_folder, input_folders, state_of
from .types import TRAINING, choice, count, number, played_with_text, share, text

SIDE = "of the clips; a multiple of 8. Range 64 to 4096 pixels."


def _size() -> tuple[io.Int.Input, io.Int.Input]:
    def side(name: str) -> io.Int.Input:
        return io.Int.Input(name, default=512, min=64, max=4096, step=8, tooltip=f"{name.capitalize()} {SIDE}")

    return side("width"), side("height")


def _folder_inputs() -> list[io.Input]:
    """How clips are cut out of a folder."""
    folder = "A folder below ComfyUI's input folder, with videos or folders of frames, and a .txt file of the same name as each for its caption."
    stride = "Every n-th frame of a video is taken. The public modules were trained on every 4th of videos of about 30 frames a second."
    per_video = "Clips of each video, spread evenly over it. 0: as many as there are without overlap."
    trigger = "Words put before every caption, with a comma."
    fit = "How other proportions are made to fit: crop cuts off what sticks out, stretch changes them, pad adds black bars."
    return [
        io.Combo.Input("folder", options=input_folders(), tooltip=folder),
        count("length", 16, 1, 1024, "Length of a clip; 16 is what most motion modules were trained on.", unit="frames"),
        count("stride", 1, 1, 64, stride, unit="frames"),
        count("clips_per_video", 1, 0, 1000, per_video),
        *_size(),
        io.String.Input("caption", multiline=True, default="", tooltip="The caption of videos that have none of their own."),
        io.String.Input("trigger", default="", tooltip=trigger),
        choice("fit", FITS, CROP, fit, advanced=True),
        choice("position", TAKEN_FROM, MIDDLE, "Where in a video a single clip is taken from.", advanced=True),
    ]


class LoadTrainingClips(io.ComfyNode):
    """Folder -> IMAGE list + STRING list."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        images = "A list with one IMAGE for each clip, its frames; for Camera Clips, Make Training Dataset and all image nodes."
        return io.Schema(
            node_id="LoadTrainingClips",
            display_name="Load Training Clips",
            category=TRAINING,
            description="Cuts clips out of all videos and folders of frames in a folder, with their captions, and shows the first ones.",
            search_aliases=["dataset", "load videos", "video folder", "training videos", "captions"],
            has_intermediate_output=True,
            inputs=_folder_inputs(),
            outputs=[
                io.Image.Output("images", is_output_list=True, tooltip=images),
                io.String.Output("captions", is_output_list=True, tooltip="A list with the caption of each clip."),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, folder: str, **_: Any) -> Any:
        """Load again when a file in the folder changed."""
        return state_of(folder)

    @classmethod
    def execute(
        cls,
        folder: str,
        length: int,
        stride: int,
        clips_per_video: int,
        width: int,
        height: int,
        caption: str,
        trigger: str = "",
        fit: str = CROP,
        position: str = MIDDLE,
    ) -> io.NodeOutput:
        options = ClipOptions(length, stride, clips_per_video, position, width, height, fit, caption, trigger)
        images, captions, report = load_clips(input_folder(folder), options)
        return io.NodeOutput(images, captions, ui=played_with_text(preview(images), report))


class EncodeTrainingClips(io.ComfyNode):
    """Folder + VAE + CLIP -> LATENT list + CONDITIONING list."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        latents = "A list with one LATENT for each clip, its frames; as from Make Training Dataset."
        empty = "The prompt without words, for steps that are trained without a caption."
        return io.Schema(
            node_id="EncodeTrainingClips",
            display_name="Encode Training Clips",
            category=TRAINING,
            description="Makes latents and prompts of the clips in a folder, one clip at a time, and keeps them on disk: the next time "
            "only what is new is encoded.",
            search_aliases=["dataset", "make training dataset", "cache latents", "video folder"],
            has_intermediate_output=True,
            inputs=[
                io.Vae.Input("vae", tooltip="The VAE of the checkpoint that is trained on."),
                io.Clip.Input("clip", tooltip="The text encoder of the checkpoint that is trained on."),
                *_folder_inputs(),
            ],
            outputs=[
                io.Latent.Output("latents", is_output_list=True, tooltip=latents),
                io.Conditioning.Output("positive", is_output_list=True, tooltip="A list with the prompt of each clip."),
                io.Conditioning.Output("empty", tooltip=empty),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, folder: str, **_: Any) -> Any:
        """Encode again when a file in the folder changed."""
        return state_of(folder)

    @classmethod
    def execute(
        cls,
        vae: Any,
        clip: Any,
        folder: str,
        length: int,
        stride: int,
        clips_per_video: int,
        width: int,
        height: int,
        caption: str,
        trigger: str = "",
        fit: str = CROP,
        position: str = MIDDLE,
    ) -> io.NodeOutput:
        options = ClipOptions(length, stride, clips_per_video, position, width, height, fit, caption, trigger)
        made = encode_clips(input_folder(folder), options, vae, clip)
        return io.NodeOutput(made.latents, made.positive, made.empty, ui=text(made.report))


class CameraClips(io.ComfyNode):
    """IMAGE list -> IMAGE list with a camera move."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        move = (
            "As the public motion LoRAs are named: pan and tilt say where the camera goes (pan left: things move to the right), zoom in "
            "makes things larger, and roll clockwise turns things clockwise."
        )
        amount = (
            "How far over the whole clip. Pan and tilt: in widths and heights of the picture. Zoom: 0.25 makes things 1.25 times as large. "
            "Roll: in quarter turns, 0.25 is 22.5 degrees. The public ones move by 0.2 to 0.4."
        )
        pictures = "Take every picture of an IMAGE as a still of its own that the camera moves over, not as frames of a video."
        seed = "Of the amounts that variation draws. Range 0 to 2^64 - 1."
        variation = "How much the amount differs from clip to clip, as a share of it; drawn by the seed."
        strengths = "Which part of the amount each clip moves by, for Train Motion LoRA: 1 for all without variation."
        return io.Schema(
            node_id="CameraClips",
            display_name="Camera Clips",
            category=TRAINING,
            description="Makes training clips for a camera motion LoRA: a crop pans, tilts, zooms or rolls over videos or pictures, and "
            "never shows anything outside of them.",
            search_aliases=["pan", "tilt", "zoom", "roll", "camera motion", "ken burns", "motion lora"],
            has_intermediate_output=True,
            is_input_list=True,
            inputs=[
                io.Image.Input("images", tooltip="Videos or pictures, one IMAGE or a list of them, larger than the clips if possible."),
                choice("move", CAMERA_MOVES, CAMERA_MOVES[0], move),
                number("amount", 0.25, 0.0, 4.0, amount),
                count("length", 16, 2, 1024, "Length of a clip; longer videos give their middle.", unit="frames"),
                *_size(),
                io.Boolean.Input("single_pictures", default=False, tooltip=pictures),
                io.String.Input("captions", optional=True, force_input=True, tooltip="One for each IMAGE, or one for all."),
                choice("easing", CAMERA_EASINGS, CAMERA_EASINGS[0], "How the camera starts and stops.", advanced=True),
                share("variation", 0.0, variation, advanced=True),
                io.Int.Input("seed", default=0, min=0, max=2**64 - 1, control_after_generate=False, advanced=True, tooltip=seed),
            ],
            outputs=[
                io.Image.Output("images", is_output_list=True, tooltip="A list with one IMAGE for each clip, its frames."),
                io.String.Output("captions", is_output_list=True, tooltip="A list with the caption of each clip."),
                io.Float.Output("strengths", is_output_list=True, tooltip=strengths),
            ],
        )

    @classmethod
    def execute(
        cls,
        images: list[Any],
        move: list[str],
        amount: list[float],
        length: list[int],
        width: list[int],
        height: list[int],
        single_pictures: list[bool],
        captions: Sequence[str] = (),
        easing: Sequence[str] = (CAMERA_EASINGS[0],),
        variation: Sequence[float] = (0.0,),
        seed: Sequence[int] = (0,),
    ) -> io.NodeOutput:
        chosen: tuple[Any, ...] = (move, amount, length, width, height, single_pictures, easing, variation, seed)
        options = CameraOptions(*(values[0] for values in chosen))
        made = camera_clips(images, captions, options)
        return io.NodeOutput(made.frames, made.captions, made.strengths, ui=played_with_text(preview(made.frames), made.report))
