"""The small world: its scenes show what their captions say, and its trainings go on where they stopped."""

from __future__ import annotations

import pytest
import torch
from animatediff_native.demo.world import clips, files
from animatediff_native.demo.world.scene import COLOURS, FRAMES, VIEW, draw, path, scene
from torch import Tensor


def random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def centre_of(picture: Tensor, colour: str) -> tuple[float, float]:
    """Mean x and y of the pixels that have a colour, from the middle."""
    near = (picture - torch.tensor(COLOURS[colour])).abs().amax(dim=-1) < 0.1
    y, x = torch.nonzero(near, as_tuple=True)
    return float(x.float().mean()) - VIEW / 2, float(y.float().mean()) - VIEW / 2


def test_caption_names_what_is_seen() -> None:
    what = scene(random(), colour="red", kind="ball", size="big", motion="rolls to the right", ground="green hill")
    assert what.caption.endswith("red ball rolls to the right over a green hill")
    picture = draw(what)[8]
    assert picture.shape == (VIEW, VIEW, 3) and 0.0 <= float(picture.min()) <= float(picture.max()) <= 1.0
    x, y, radius, _ = path(what, torch.tensor([8.0]))[0].tolist()
    seen = centre_of(picture, "red")
    assert abs(seen[0] - x) < 2.5 and abs(seen[1] - y) < 2.5, (seen, x, y)
    assert 13.0 < radius < 16.0


@pytest.mark.parametrize(("motion", "sign"), [("rolls to the right", 1), ("rolls to the left", -1), ("rests", 0)])
def test_shapes_go_where_the_caption_says(motion: str, sign: int) -> None:
    for seed in range(8):
        what = scene(random(seed), motion=motion)
        way = path(what, torch.tensor([0.0, FRAMES - 1.0]))[:, 0]
        assert float(way[1] - way[0]) == pytest.approx(sign * what.speed * (FRAMES - 1))


def test_a_scene_is_its_seed() -> None:
    first, second = clips.clips(2, 5), clips.clips(2, 5)
    assert torch.equal(first[0], second[0]) and first[1] == second[1]
    assert not torch.equal(first[0][0], clips.clips(1, 6)[0][0])


def test_a_wider_picture_shows_the_same_middle() -> None:
    what = scene(random(3))
    narrow, wide = draw(what, [4]), draw(what, [4], clips.WIDE)
    edge = (clips.WIDE - VIEW) // 2
    assert torch.allclose(narrow[0], wide[0, edge:-edge, edge:-edge], atol=1e-5)


def test_a_camera_moves_the_content_the_other_way() -> None:
    canvas = draw(scene(random(3)), [4], clips.WIDE)
    edge = (clips.WIDE - VIEW) // 2
    still = clips.look(canvas, torch.tensor([[0.0, 0.0, 1.0, 0.0]]))
    assert torch.allclose(still[0], canvas[0, edge:-edge, edge:-edge], atol=1e-5)
    right = clips.look(canvas, torch.tensor([[3.0, 0.0, 1.0, 0.0]]))
    assert torch.allclose(right[0, :, :-3], still[0, :, 3:], atol=1e-5)


def test_the_stamp_is_in_the_corner_and_nowhere_else() -> None:
    plain = clips.clips(1, 1)[0]
    marked = clips.stamped(plain)
    changed = (marked != plain).any(dim=-1)
    low = VIEW - clips.STAMP_EDGE - clips.STAMP_SIZE
    assert not changed[..., :low, :].any() and not changed[..., :, :low].any()
    assert changed[..., low : VIEW - clips.STAMP_EDGE, low : VIEW - clips.STAMP_EDGE].float().mean() > 0.9


def test_words_never_seen_have_no_meaning() -> None:
    rows = torch.randn(2, 8).half()
    image = {"words.rows": rows, "words.known": torch.tensor([7, 49407], dtype=torch.int32), "unet.out.0.weight": torch.ones(3)}
    tensors = files.assembled(image, {"vae_scale": torch.tensor(0.5)})
    table = tensors[files.TABLE]
    assert table.shape == (49408, 8) and torch.equal(table[[7, 49407]], rows) and int((table != 0).any(dim=1).sum()) == 2
    assert torch.equal(tensors["model.diffusion_model.out.0.weight"], torch.ones(3))
    assert float(tensors["first_stage_model.vae_scale"]) == 0.5
