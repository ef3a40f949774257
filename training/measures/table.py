"""The measures of the paper's table 1 of one animation, in words and as a picture. Called by ``nodes.evaluate``."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..host.vision import CLIP, ClipVisionModel, image_embeddings, text_embedding
from .embeddings import domain_similarity, motion_smoothness, text_alignment
from .plot import below_each_other, line_plot


@dataclass(frozen=True)
class Scores:
    """The measures of the paper's table 1, as cosines per frame, -1 to 1; empty where nothing to compare with was given."""

    text_alignments: Tensor
    domain_similarities: Tensor
    smoothnesses: Tensor

    @property
    def text_alignment(self) -> float:
        """Mean over the frames; 0 without a prompt."""
        return _mean(self.text_alignments)

    @property
    def domain_similarity(self) -> float:
        """Mean over the frames; 0 without references."""
        return _mean(self.domain_similarities)

    @property
    def motion_smoothness(self) -> float:
        """Mean over neighbours."""
        return _mean(self.smoothnesses)

    @property
    def _rows(self) -> dict[str, tuple[Tensor, str]]:
        return {
            "text alignment": (self.text_alignments, "connect clip and write a text"),
            "domain similarity": (self.domain_similarities, "connect references"),
            "motion smoothness": (self.smoothnesses, ""),
        }

    @property
    def text(self) -> str:
        """A line for each measure, times 100 as in the paper."""
        return "\n".join(
            f"{name} {100 * float(values.mean()):.2f}" if len(values) else f"{name}: not measured ({missing})"
            for name, (values, missing) in self._rows.items()
        )

    @property
    def picture(self) -> Tensor:
        """A chart per measure, one below the other."""
        return below_each_other(
            [line_plot({name: (100 * values).tolist()}, unit="") for name, (values, _) in self._rows.items() if len(values)]
        )


def _mean(values: Tensor) -> float:
    return float(values.mean()) if len(values) else 0.0


def scored(frames: Tensor, text: Tensor | None = None, references: Tensor | None = None) -> Scores:
    """Score embeddings of frames ``(F, D)`` against those of a prompt ``(1, D)`` and of references ``(R, D)``."""
    nothing = torch.zeros(0)
    return Scores(
        nothing if text is None else text_alignment(frames, text),
        nothing if references is None else domain_similarity(frames, references),
        motion_smoothness(frames),
    )


def evaluated(
    frames: Tensor, clip_vision: ClipVisionModel, clip: CLIP | None = None, prompt: str = "", references: Tensor | None = None
) -> Scores:
    """The measures of the paper's table 1 for frames ``(F, H, W, 3)``.

    Args:
        clip, prompt: for text alignment, which is left out without either.
        references: pictures ``(R, H, W, 3)`` of the image model alone, for domain similarity.

    Raises:
        ValueError: a single frame, or models that do not fit each other.
    """
    text = text_embedding(clip, prompt) if clip is not None and prompt.strip() else None
    others = None if references is None else image_embeddings(clip_vision, references)
    return scored(image_embeddings(clip_vision, frames), text, others)
