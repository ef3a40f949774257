"""What other packs send into our sockets, through nodes that pass anything on: converted where it is plain, or refused in words."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from animatediff_native.sampling.modules.settings import settings_of
from animatediff_native.sampling.timeline.curve import Curve, as_strength
from animatediff_native.sampling.windows.options import WindowOptions, as_window_options


def context(**more: Any) -> SimpleNamespace:
    """A context as AnimateDiff-Evolved describes it."""
    usual = {
        "context_length": 12, "context_stride": None, "context_overlap": 3, "context_schedule": "standard_static", "closed_loop": False,
        "fuse_method": "flat", "use_on_equal_length": False, "view_options": None, "start_percent": 0.0,
    }  # fmt: skip
    return SimpleNamespace(**{**usual, **more})


def test_context_options_of_another_pack_are_read() -> None:
    later = context(context_schedule="looped_uniform", context_stride=2, closed_loop=True, use_on_equal_length=True, start_percent=0.5)
    read = as_window_options(SimpleNamespace(contexts=[later, context(start_percent=0.2)]))
    first = WindowOptions(12, 3, "standard_static", "flat", freenoise=False, equal_length="never")
    second = WindowOptions(
        12, 3, "looped_uniform", "flat", freenoise=False, stride=2, closed_loop=True, equal_length="always", start_percent=0.5,
        previous=(first,),
    )  # fmt: skip
    assert read == second


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (SimpleNamespace(contexts=[context(fuse_method="random")]), "standard_static with random, which has no equal here"),
        (SimpleNamespace(contexts=[context(view_options=context())]), "ask for views"),
        ({"context_length": 16}, "got dict. Connect that node"),
        (SimpleNamespace(contexts=[]), "got SimpleNamespace"),
    ],
)
def test_what_has_no_equal_is_refused(given: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        as_window_options(given)


def test_a_multival_is_a_strength_by_region() -> None:
    multival = torch.tensor([[[0.5, 1.5]], [[2.0, 0.0]]])
    curve = as_strength(multival)
    assert isinstance(curve, Curve) and curve.mask is not None
    assert torch.equal(curve.mask, multival)
    assert as_strength(1.5) == 1.5
    with pytest.raises(ValueError, match="NaN or infinity"):
        as_strength(torch.full((1, 2, 2), float("nan")))


def test_another_module_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="Needed an ANIMATEDIFF_MODULE, got another model"):
        settings_of(SimpleNamespace(model=1))  # type: ignore[arg-type]
