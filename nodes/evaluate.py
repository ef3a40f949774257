"""Numbers about finished animations: how the camera moves, how frames differ, and the measures of the paper."""

from __future__ import annotations

from comfy_api.latest import io

from ..training.measures.summary import measured_motion
from ..training.measures.table import evaluated
from .types import CATEGORY, text_and_picture

EVALUATION = f"{CATEGORY}/evaluation"
FRAMES_TIP = "The frames of one animation, from VAE Decode or a video."


class MeasureMotion(io.ComfyNode):
    """IMAGE -> numbers about its motion, and a plot."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        ignore = "White where things move by themselves, if they are larger than what the camera sees. One mask, or one per frame."
        x = "Pixels per frame that the picture's content moves to the right (camera pans left); negative: to the left (pans right)."
        y = "Pixels per frame that the content moves downwards (camera tilts up); negative: upwards (tilts down)."
        roll = "Degrees per frame that the content turns clockwise (camera rolls anticlockwise); negative: anticlockwise."
        closure = "Distance of the last frame from the first, in units of what neighbours are apart. 1 closes smoothly, more is a jump."
        flicker = "What frames differ from the mean of their neighbours after the camera's motion is taken out, 0 to 1."
        return io.Schema(
            node_id="MeasureMotion",
            display_name="Measure Motion",
            category=EVALUATION,
            description="Measures how the camera moves in an animation (shift, zoom, roll), how far neighbouring frames are apart, "
            "how well it loops and how much it flickers, without optical flow.",
            search_aliases=["camera motion", "pan", "zoom", "roll", "optical flow", "flicker", "loop", "smoothness", "evaluate video"],
            is_output_node=True,
            inputs=[
                io.Image.Input("images", tooltip=FRAMES_TIP),
                io.Mask.Input("ignore", optional=True, tooltip=ignore),
            ],
            outputs=[
                io.Float.Output("shift_x", tooltip=x),
                io.Float.Output("shift_y", tooltip=y),
                io.Float.Output("zoom", tooltip="Percent per frame by which the content grows (camera zooms in); negative: it shrinks."),
                io.Float.Output("roll", tooltip=roll),
                io.Float.Output("neighbour_distance", tooltip="Mean difference of each frame and the next, 0 to 1."),
                io.Float.Output("loop_closure", tooltip=closure),
                io.Float.Output("flicker", tooltip=flicker),
                io.Image.Output("plot", tooltip="Charts of all that per pair of frames."),
                io.String.Output("text", tooltip="The numbers in words."),
            ],
        )

    @classmethod
    def execute(cls, images: io.Image.Type, ignore: io.Mask.Type | None = None) -> io.NodeOutput:
        found = measured_motion(images, ignore)
        camera, plot, text = found.motion, found.picture, found.text
        numbers = (camera.x, camera.y, camera.zoom, camera.roll, found.neighbour_distance, found.closure, found.flicker)
        return io.NodeOutput(*numbers, plot, text, ui=text_and_picture(text, plot, cls))


class EvaluateAnimation(io.ComfyNode):
    """IMAGE + CLIP_VISION -> the measures of the paper's table 1, and a plot."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        references = "Pictures of the same checkpoint without motion module, for domain similarity."
        clip = "For text alignment: clip_l.safetensors or an SDXL checkpoint's, of the size of clip_vision. SD1.5 files lack its projection."
        return io.Schema(
            node_id="EvaluateAnimation",
            display_name="Evaluate Animation",
            category=EVALUATION,
            description="Measures an animation as in table 1 of the AnimateDiff paper: text alignment, domain similarity and motion "
            "smoothness, as cosines of CLIP embeddings.",
            search_aliases=["clip score", "text alignment", "domain similarity", "motion smoothness", "temporal consistency", "benchmark"],
            is_output_node=True,
            inputs=[
                io.Image.Input("images", tooltip=FRAMES_TIP),
                io.ClipVision.Input("clip_vision", tooltip="From Load CLIP Vision, such as CLIP-ViT-L-14. It sees the middle square."),
                io.Clip.Input("clip", optional=True, tooltip=clip),
                io.String.Input("text", multiline=True, default="", optional=True, tooltip="What the animation is to show; needs clip."),
                io.Image.Input("references", optional=True, tooltip=references),
            ],
            outputs=[
                io.Float.Output("text_alignment", tooltip="Mean cosine of frames and text, -1 to 1; 0 without clip and text."),
                io.Float.Output("domain_similarity", tooltip="Mean cosine of frames and references, -1 to 1; 0 without references."),
                io.Float.Output("motion_smoothness", tooltip="Mean cosine of each frame and the next, -1 to 1."),
                io.Image.Output("plot", tooltip="Charts of the measures per frame."),
                io.String.Output("summary", tooltip="The numbers in words, times 100 as in the paper."),
            ],
        )

    @classmethod
    def execute(
        cls,
        images: io.Image.Type,
        clip_vision: io.ClipVision.Type,
        clip: io.Clip.Type | None = None,
        text: str = "",
        references: io.Image.Type | None = None,
    ) -> io.NodeOutput:
        found = evaluated(images, clip_vision, clip, text, references)
        plot, words = found.picture, found.text
        numbers = (found.text_alignment, found.domain_similarity, found.motion_smoothness)
        return io.NodeOutput(*numbers, plot, words, ui=text_and_picture(words, plot, cls))
