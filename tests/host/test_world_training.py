"""Every stage of the small world runs to files that this pack loads; two steps of each, on untrained networks."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import comfy.supported_models
import pytest
import torch
from animatediff_native.demo import commands
from animatediff_native.demo.world import autoencoder, clips, files, image, networks, video
from animatediff_native.demo.world.measures import reading
from animatediff_native.demo.world.place import Place, fitting, mixed_precision
from animatediff_native.demo.world.scene import draw, scene
from animatediff_native.motion.container import read_file
from animatediff_native.motion.lora import read_motion_lora
from animatediff_native.sampling.controls.sparse import load_sparse_control
from animatediff_native.sampling.modules.load import load_motion_module
from animatediff_native.sampling.modules.settings import family_of
from animatediff_native.training.measures.camera import camera_motion
from comfy.model_sampling import ModelSamplingDiscrete
from safetensors.torch import load_file
from torch.nn import functional

SHORT = {"steps": 2, "batch_size": 1, "warm_up": 0}
MOVES = {"pan left": "pan right", "zoom in": "zoom out"}


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Iterator[video.Plan]:
    """All stages after the image model, run on random weights. The host forgets the world's widths afterwards."""
    known = list(comfy.supported_models.models)
    folder = tmp_path_factory.mktemp("world")
    weights, state = folder / "weights", folder / "state"
    captions = [scene(torch.Generator().manual_seed(seed)).caption for seed in range(40)]
    model = image.ImageModel(captions)
    random = torch.Generator().manual_seed(0)  # where the network begins at zero, no gradient would pass
    tensors = {name: tensor.detach() + 0.02 * torch.randn(tensor.shape, generator=random) for name, tensor in model.named_parameters()}
    files.export(files.image_state(tensors, model.words.known), "image", folder=weights)
    net = autoencoder.fresh()
    files.export({name: tensor.detach() for name, tensor in net.state_dict().items()}, "autoencoder", folder=weights)
    made = video.Plan(weights, clips=2, camera_clips=1, moves=MOVES)
    made = replace(made, **{name: replace(getattr(made, name), **SHORT) for name in ("adapter", "motion", "camera", "sparse")})
    for stage in ("adapter", "motion", "camera", "sparse"):
        video.train(stage, Place(state, lambda _: None), made)
    yield made
    comfy.supported_models.models[:] = known


def test_files_load(plan: video.Plan) -> None:
    assert family_of(load_motion_module(plan.file("motion_module"))).name == "v3"
    for move in (*MOVES, *MOVES.values()):
        lora = read_motion_lora(read_file(plan.file(video.file_name(move)), load_file))
        assert {tensor.shape[0] for key, tensor in lora.tensors.items() if key.endswith("down.weight")} == {video.CAMERA_RANK}
    assert load_sparse_control(plan.file("sparse_control_rgb")).config.kind == "rgb"


def test_moves_and_their_opposites_have_mirrored_files(plan: video.Plan) -> None:
    assert sorted(video.OPPOSITES.items()) == [
        ("pan left", "pan right"), ("roll clockwise", "roll anticlockwise"), ("tilt up", "tilt down"), ("zoom in", "zoom out"),
    ]  # fmt: skip
    one, other = (files.load(video.file_name(move), plan.weights) for move in ("pan left", "pan right"))
    assert one.keys() == other.keys() and any(tensor.any() for key, tensor in one.items() if key.endswith("up.weight"))
    for key, tensor in one.items():
        assert torch.equal(other[key], -tensor if key.endswith("up.weight") else tensor)


def test_something_was_learnt(plan: video.Plan) -> None:
    """Zero-initialised layers are not zero any more, so gradients reached them."""
    module = load_file(plan.file("motion_module"))
    assert all(float(tensor.abs().max()) > 0 for key, tensor in module.items() if key.endswith("proj_out.weight"))
    sparse = load_file(plan.file("sparse_control_rgb"))
    assert all(float(tensor.abs().max()) > 0 for key, tensor in sparse.items() if key.startswith("zero_convs.") and key.endswith("weight"))
    adapter = load_file(plan.file("domain_adapter"))
    learnt = [float(tensor.abs().max()) > 0 for key, tensor in adapter.items() if ".up." in key]
    assert len(adapter) == 256 and sum(learnt) >= 120, "only queries and keys of a single pixel learn nothing"


def test_text_encoder_is_the_hosts() -> None:
    captions = ["a red ball rests over a green hill", "a big blue box turns over a grey road"]
    words = networks.Words(captions)
    tokens = words.tokens(captions)
    rows = words.rows[torch.searchsorted(words.known, tokens)]
    with torch.no_grad():
        theirs = words.net.text_model(tokens, embeds=rows.clone())[0]
    assert torch.allclose(words(tokens), theirs, atol=1e-5)


def test_latents_have_the_scale_of_sd15() -> None:
    frames, _ = clips.pictures(4, 3)
    latents = image.encode({name: tensor.detach() for name, tensor in autoencoder.fresh().state_dict().items()}, frames)
    assert latents.shape == (4, 4, 8, 8) and latents.dtype == torch.float32
    for shares in image.signal_shares():
        noisy = image.noised(latents, shares[torch.tensor([0, 250, 500, 999])], torch.zeros_like(latents))
        assert torch.allclose(noisy[0], latents[0], atol=1e-2) and float(noisy[3].norm() / latents[3].norm()) < 0.08


def test_both_schedules_are_the_hosts_and_the_modules() -> None:
    """The image model sees what samplers will show it: without a motion module and with one."""
    sampling = ModelSamplingDiscrete()
    for schedule, shares in zip(("linear", "sqrt_linear"), image.signal_shares(), strict=True):
        sampling._register_schedule(beta_schedule=schedule, timesteps=1000, linear_start=0.00085, linear_end=0.012)
        assert torch.allclose(((1 - shares) / shares).sqrt(), sampling.sigmas, rtol=1e-4)


def test_the_command_imports_the_hosts_nodes() -> None:
    """It runs in the repository, whose folder `nodes` would be found first."""
    environment = SimpleNamespace(comfyui=Path(comfy.supported_models.__file__).parents[1])
    script = "from comfy.cli_args import args; args.cpu = True; from demo.world import video; import nodes; print(nodes.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=commands.REPOSITORY, env=commands.world_variables(environment), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.split()[-1]).parent == environment.comfyui


def test_a_batch_is_shared_by_the_processes(tmp_path: Path) -> None:
    place = Place(tmp_path, print, SimpleNamespace(count=2))
    assert place.share(video.MOTION) == replace(video.MOTION, batch_size=video.MOTION.batch_size // 2)
    assert place.part(image.BATCH) == image.BATCH // 2 and place.part(autoencoder.BATCH) == autoencoder.BATCH // 2
    with pytest.raises(ValueError, match=r"3 processes cannot share a batch of 4\. Use 1, 2 or 4"):
        Place(tmp_path, print, SimpleNamespace(count=3)).share(video.MOTION)


@torch.inference_mode(False)
def test_any_network_is_fitted_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    def fitted(state: Path, *lengths: int) -> tuple[dict[str, torch.Tensor], list[str]]:
        told: list[str] = []
        for length in lengths:
            net = torch.nn.Linear(4, 1)
            torch.nn.init.ones_(net.weight)
            torch.nn.init.zeros_(net.bias.requires_grad_(False))

            def loss(random: torch.Generator, net: torch.nn.Linear = net) -> torch.Tensor:
                x = torch.randn(8, 4, generator=random)
                return (net(x) - x.sum(dim=1, keepdim=True) * 2).square().mean()

            settings = replace(fitting(length, 0.05), warm_up=0, schedule="constant", average=0.5)
            found = Place(state, told.append).fit("line", net, loss, settings)
        return found, told

    whole, parts = fitted(tmp_path / "a", 12), fitted(tmp_path / "b", 5, 12)
    assert torch.equal(whole[0]["weight"], parts[0]["weight"]) and whole[0].keys() == {"weight"}
    assert float((whole[0]["weight"] - 2).abs().max()) < 0.6
    assert whole[1][-1].startswith("step 12 of 12, loss ") and "noise" not in whole[1][-1]


@torch.inference_mode(False)
def test_the_image_model_trains_and_is_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"SETTINGS": fitting(2, 1e-4), "BATCH": 4, "PICTURES": 12}.items():
        monkeypatch.setattr(image, name, value)
    net = {name: tensor.detach() for name, tensor in autoencoder.fresh().state_dict().items()}
    told: list[str] = []
    tensors = image.train(Place(tmp_path, told.append), net)
    assert told[-1].startswith("step 2 of 2, loss ") and "nan" not in told[-1]
    assert files.assembled(tensors, net)[files.TABLE].shape == (files.VOCABULARY, networks.TEXT_WIDTH)


@torch.inference_mode(False)
def test_the_autoencoder_trains_and_has_the_scale_of_sd15(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"BOTH": fitting(2, 1e-3), "DECODER": fitting(2, 1e-3), "BATCH": 4, "PICTURES": 520}.items():
        monkeypatch.setattr(autoencoder, name, value)
    told: list[str] = []
    tensors = autoencoder.train(Place(tmp_path, told.append))
    assert [line.split(",")[0] for line in told] == ["step 2 of 2", "step 2 of 2"]
    frames = clips.pictures(64, 1)[0]
    assert 0.5 < float(image.encode(tensors, frames).std()) < 2.0
    assert autoencoder.train(Place(tmp_path, told.append)).keys() == tensors.keys() == autoencoder.fresh().state_dict().keys()


@torch.inference_mode(False)
def test_the_text_encoder_is_asked_to_tell_motions_apart() -> None:
    """Left and right are no different to pictures of a whole path; a motion module could not follow them."""
    captions = ["a red ball rolls to the right over a green hill", "a red ball rolls to the left over a green hill", ""]
    motions = image.motion_numbers(captions)
    assert motions.tolist() == [0, 1, image.NOT_TOLD]
    words = networks.Words(captions)
    tokens = words.tokens(captions)
    text = words(tokens).detach().requires_grad_(True)
    image.motions_told(text, tokens, motions).backward()
    moved = text.grad.abs().sum(dim=-1)
    assert torch.equal(moved > 0, (tokens == 49407) & (motions != image.NOT_TOLD)[:, None]), "only what follows a caption"
    with torch.no_grad():
        told = image.motions_told(text - 500 * text.grad, tokens, motions)
    assert told < 0.5 * image.motions_told(text, tokens, motions)


def test_half_of_the_noise_levels_are_high() -> None:
    step, share, counts = image.noise_levels(400, torch.Generator().manual_seed(1))
    assert step.shape == share.shape == counts.shape == (400,) and int(step.min()) >= 0 and int(step.max()) <= 999
    assert float(step[:200].float().mean()) < 600 < 700 < float(step[200:].float().mean())
    assert float(counts[:200].max()) <= 1.0 < float(counts[200:].max()) and float(counts.min()) < 0.1
    known = image.signal_shares()[:, step]
    assert {int((known[:, index] - share[index]).abs().argmin()) for index in range(400)} == {0, 1}


def test_cameras_move_over_shapes_that_do_not_roll() -> None:
    """Half of these clips are filmed, all ways; the others, and the clips in which a shape rolls, are as they were."""
    frames, scenes = clips.clips(60, 3)
    filmed = video.filmed(frames, scenes, 3)
    changed = [not torch.equal(first, second) for first, second in zip(frames, filmed, strict=True)]
    rolls = [what.motion.startswith("rolls") for what in scenes]
    assert filmed.shape == frames.shape and filmed.dtype == torch.uint8
    assert not any(moved and roll for moved, roll in zip(changed, rolls, strict=True))
    assert 0.3 < sum(changed) / (len(rolls) - sum(rolls)) < 0.7
    assert torch.equal(filmed, video.filmed(frames, scenes, 3))
    still = scene(torch.Generator().manual_seed(1), motion="rests")
    for move, way in (("pan left", 1), ("pan right", -1)):
        shape = reading(video.seen_by_camera(still, move)).centres[:, 0]
        assert way * float(shape[-1] - shape[0]) == pytest.approx(64 * video.CAMERA_AMOUNTS["pan"], abs=3)


@pytest.mark.parametrize("move", ["zoom in", "zoom out"])
def test_a_zoom_that_a_lora_learns_is_no_enlargement(move: str) -> None:
    """Things are as large in the middle of the clip as without a camera; without `even` they are larger all the time."""
    still = scene(torch.Generator().manual_seed(2), motion="rests", kind="ball", size="small")
    usual, even, begun = (
        reading(frames).masks.flatten(1).sum(dim=1).sqrt()
        for frames in (clips.to_bytes(draw(still)), video.seen_by_camera(still, move, even=True), video.seen_by_camera(still, move))
    )
    assert float(even.log().mean().exp() / usual.mean()) == pytest.approx(1.0, abs=0.05)
    assert float(even[-1] / even[0]) == pytest.approx(float(begun[-1] / begun[0]), abs=0.05), "it zooms as much"
    assert float(begun.log().mean().exp() / usual.mean()) > 1.15


def test_a_strength_of_a_zoom_is_how_far_it_goes() -> None:
    still = scene(torch.Generator().manual_seed(2), motion="rests", kind="ball", size="small")
    strengths = video.camera_strengths("zoom out", 4)
    assert strengths == [0.5, 1.0, 1.5, 0.5] and video.camera_strengths("tilt up", 2) == [1.0, 1.0]
    for strength in strengths[:3]:
        found = camera_motion(video.seen_by_camera(still, "zoom out", strength, even=True) / 255, 2).zoom
        assert found == pytest.approx(100 * ((1 + video.CAMERA_AMOUNTS["zoom"]) ** (-strength / 15) - 1), rel=0.1)


@pytest.mark.parametrize(("capability", "dtype"), [("AVX512", torch.bfloat16), ("AVX2", torch.float32), ("DEFAULT", torch.float32)])
def test_bf16_is_for_processors_that_have_it(capability: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    with mixed_precision():
        assert functional.linear(torch.zeros(1, 2), torch.zeros(3, 2)).dtype == dtype


def test_a_stage_that_was_stopped_is_not_exported(plan: video.Plan, tmp_path: Path) -> None:
    elsewhere = replace(plan, weights=tmp_path / "weights")
    for name in ("image", "autoencoder", "domain_adapter", "motion_module"):
        files.whole(elsewhere.file(name), lambda part, name=name: part.write_bytes(plan.file(name).read_bytes()))
    before = elsewhere.file("motion_module").read_bytes()
    for stage in ("motion", "camera", "sparse"):
        with pytest.raises(ValueError, match="ended at step 0 of 2, and its state is kept. Run the same command to go on"):
            video.train(stage, Place(tmp_path, lambda _: None, stops=lambda: True), elsewhere)
    assert elsewhere.file("motion_module").read_bytes() == before and len(list(elsewhere.weights.iterdir())) == 4


def test_what_is_kept_is_made_anew_of_something_else(tmp_path: Path) -> None:
    made: list[int] = []

    def make() -> dict[str, int]:
        made.append(1)
        return {"value": len(made)}

    file = tmp_path / "a" / "kept.pt"
    assert [files.kept(file, mark, make)["value"] for mark in ("one", "one", "two", "two")] == [1, 1, 2, 2]

    def broken(part: Path) -> None:
        part.write_bytes(b"half")
        raise OSError("no space left")

    before = file.read_bytes()
    with pytest.raises(OSError, match="no space left"):
        files.whole(file, broken)
    assert file.read_bytes() == before


def test_each_process_has_a_core(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[tuple[list[str], dict[str, str]]] = []
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(commands.subprocess, "Popen", lambda command, cwd, env: started.append((command, env)))
    monkeypatch.setattr(commands, "_waited", lambda process: 3)
    environment = SimpleNamespace(comfyui=Path("comfyui"), python=Path("python"))
    for processes in (1, 2):
        options = SimpleNamespace(state=Path("state"), processes=processes, stages=["motion"])
        assert commands.train_world(environment, options) == 3
    assert [env["OMP_NUM_THREADS"] for _, env in started] == ["2", "1"]
    assert "torch.distributed.run" not in started[0][0] and "torch.distributed.run" in started[1][0]
