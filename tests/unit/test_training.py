"""The parts of training that need no host: draws, schedules, weights of noise levels, the state, the loop itself."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from animatediff_native.training.loop.draws import Lottery, level_of, quarter_of
from animatediff_native.training.loop.loss import snr_weight
from animatediff_native.training.loop.optimizer import learning_rate, move_average
from animatediff_native.training.loop.processes import BUCKET, Processes, _buckets
from animatediff_native.training.loop.run import Conditions, Loop
from animatediff_native.training.loop.settings import TrainingSettings
from animatediff_native.training.loop.state import State, fingerprint, load_state, save_state
from animatediff_native.training.loop.watch import Keeping, Watch
from animatediff_native.training.measures.plot import loss_picture

SETTINGS = TrainingSettings(steps=6, learning_rate=0.1, training_dtype="fp32", gradient_limit=0.0)


class Line:
    """A problem without a model: one number is to become each clip's."""

    clips, levels = 3, 8

    def __init__(self, broken_at: int = -1) -> None:
        self.number, self.asked, self.broken_at = torch.nn.Parameter(torch.zeros(1)), 0, broken_at

    def parameters(self):
        return {"number": self.number}

    def look(self, watch, step):
        watch.look(step, None)

    def loss(self, draw):
        self.asked += 1
        wanted = float("nan") if self.asked == self.broken_at else draw.clip + torch.randn(1, generator=draw.random)
        return (self.number - wanted).square().mean()


class Notes(Watch):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.warnings, self.seen = [], []

    def warn(self, sentence):
        self.warnings.append(sentence)

    def look(self, step, model):
        self.seen.append(step)


def loop(problem=None, settings=SETTINGS, watch=None, keeping=None) -> Loop:
    conditions = Conditions(settings, watch or Watch(), keeping or Keeping(), {"stage": "line"}, Processes())
    made = Loop(problem or Line(), conditions)
    made.run()
    return made


def test_every_clip_is_seen_equally_often_at_all_noise_levels():
    lottery = Lottery(SETTINGS, per_step=4, clips=6, levels=1000)
    draws = [lottery.draw(step, item) for step in range(60) for item in range(4)]
    assert set(Counter(draw.clip for draw in draws).values()) == {40}
    for step in range(0, 240, 4):
        levels = sorted(draw.level for draw in draws[step : step + 4])
        assert all(249 <= after - before <= 251 for before, after in pairwise(levels))
    assert 480 < sum(draw.level for draw in draws) / 240 < 520


def test_draws_do_not_depend_on_who_makes_them():
    one, other = Lottery(SETTINGS, 4, 6, 1000), Lottery(SETTINGS, 4, 6, 1000)
    for step in (5, 2, 9):
        first, second = one.draw(step, 3), other.draw(step, 3)
        assert first[:3] == second[:3]
        assert torch.equal(torch.randn(4, generator=first.random), torch.randn(4, generator=second.random))


def test_a_noise_bias_favours_high_noise():
    shares = [step / 1000 for step in range(1000)]
    means = [sum(level_of(share, 1000, bias) for share in shares) / 1000 for bias in (0.5, 1.0, 3.0)]
    assert means == pytest.approx([1000 / 3, 500, 750], abs=2)
    assert level_of(0.0, 1000, 1.0) == 0 and level_of(1.0, 1000, 1.0) == 999
    assert [quarter_of(level, 1000) for level in (0, 249, 250, 999)] == [0, 0, 1, 3]


def test_little_noise_counts_less_with_a_limit():
    assert [snr_weight(sigma, -sigma, 5.0) for sigma in (0.1, 1.0, 10.0)] == pytest.approx([0.05, 1.0, 1.0])  # noise
    velocity = [snr_weight(sigma, -sigma / (sigma**2 + 1) ** 0.5, 5.0) for sigma in (0.1, 1.0, 10.0)]
    assert velocity == pytest.approx([5 / 101, 1 / 2, 0.01 / 1.01])
    assert snr_weight(0.1, -0.1, 0.0) == 1.0


def test_much_noise_counts_more_when_debiased():
    assert [snr_weight(sigma, -sigma, 0.0, 0.5) for sigma in (0.1, 1.0, 10.0)] == pytest.approx([1.0, 1.0, 10.0])
    assert [snr_weight(sigma, -sigma, 5.0, 0.5) for sigma in (0.1, 1.0, 10.0)] == pytest.approx([0.05, 1.0, 10.0])


def test_the_learning_rate_rises_and_falls():
    settings = replace(SETTINGS, steps=100, warm_up=10, schedule="cosine", learning_rate=1.0, lowest_rate=0.1)
    rates = [learning_rate(step, settings) for step in (0, 9, 50, 100)]
    assert rates == pytest.approx([0.1, 0.982, 0.55, 0.1], abs=1e-3)
    assert learning_rate(99, replace(settings, schedule="constant")) == 1.0


def test_the_average_follows_faster_at_first():
    average, weights = {"a": torch.zeros(1)}, {"a": torch.ones(1)}
    move_average(average, weights, 0, 0.999)
    assert float(average["a"]) == pytest.approx(0.9)
    move_average(average, weights, 10**6, 0.999)
    assert float(average["a"]) == pytest.approx(0.9001)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"optimizer": "Lion"}, "optimizer must be one of AdamW, Adam, SGD, RMSprop, got 'Lion'"),
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"noise_bias": 0.0}, "must be more than 0"),
        ({"schedule": "linear"}, "schedule must be one of constant, cosine"),
    ],
)
def test_impossible_settings_are_refused(choice, message):
    with pytest.raises(ValueError, match=message):
        replace(SETTINGS, **choice)


@pytest.mark.parametrize("optimizer", ["AdamW", "Adam", "SGD", "RMSprop"])
def test_every_optimizer_moves_and_resumes(optimizer, tmp_path):
    settings = replace(SETTINGS, optimizer=optimizer)
    whole = loop(settings=settings)
    assert whole.losses[0] != whole.losses[-1]
    keeping = Keeping(tmp_path / "a.state.pt")
    loop(settings=replace(settings, steps=4), keeping=keeping)
    assert loop(settings=settings, keeping=keeping).losses == whole.losses


def test_a_loss_that_is_no_number_ends_it_with_the_weights_before(tmp_path):
    watch, keeping = Notes(), Keeping(tmp_path / "a.state.pt")
    ended = loop(Line(broken_at=4), watch=watch, keeping=keeping)
    assert (ended.step, len(ended.losses)) == (3, 3)
    assert torch.equal(ended.weights["number"], loop(settings=replace(SETTINGS, steps=3)).weights["number"])
    assert ended.notes == watch.warnings
    assert "The loss of step 4 is not a number" in watch.warnings[0] and "Lower learning_rate" in watch.warnings[0]
    assert load_state(keeping.file, {"stage": "line"}).step == 3
    with pytest.raises(ValueError, match="The loss of step 1 is not a number"):
        loop(Line(broken_at=1))


def test_gradients_are_limited():
    free = loop(settings=replace(SETTINGS, steps=1, optimizer="SGD"))
    held = loop(settings=replace(SETTINGS, steps=1, optimizer="SGD", gradient_limit=1e-3))
    assert float(held.weights["number"].abs()) == pytest.approx(1e-4, rel=1e-3)
    assert float(free.weights["number"].abs()) > 1e-2


def test_a_full_disk_does_not_end_a_training(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    file = tmp_path / "a.state.pt"
    file.write_bytes(b"older")
    monkeypatch.setattr(torch, "save", full)
    watch = Notes()
    ended = loop(watch=watch, keeping=Keeping(file, every=0.0, resume=False))
    assert ended.losses == loop().losses
    assert "its state is not kept: a.state.pt could not be written ([Errno 28] No space left on device)" in watch.warnings[0]
    assert file.read_bytes() == b"older" and list(tmp_path.iterdir()) == [file]


def test_an_error_keeps_what_was_reached(tmp_path):
    class Broken(Line):
        def loss(self, draw):
            if self.asked == 2:
                raise MemoryError
            return super().loss(draw)

    keeping = Keeping(tmp_path / "a.state.pt")
    with pytest.raises(MemoryError):
        loop(Broken(), keeping=keeping)
    assert loop(keeping=keeping).losses == loop().losses


def test_a_watch_looks_every_few_steps():
    watch = Notes()
    watch.look_every = 2
    loop(watch=watch)
    assert watch.seen == [2, 4, 6]


def test_a_watch_sees_the_average_and_the_training_does_not(tmp_path):
    class Seeing(Watch):
        look_every = 1

    seen, problem = [], Line()
    problem.look = lambda watch, step: seen.append(float(problem.number.detach()))
    settings = replace(SETTINGS, average=0.5)
    ended = loop(problem, settings, Seeing())
    assert seen[-1] == float(ended.weights["number"]) != float(problem.number.detach())
    assert ended.losses == loop(settings=settings).losses


def test_files_that_are_no_state_say_so(tmp_path):
    file = tmp_path / "a.state.pt"
    with pytest.raises(ValueError, match=r"got no file a\.state\.pt"):
        load_state(file, {})
    file.write_bytes(b"something")
    with pytest.raises(ValueError, match=r"a\.state\.pt is none"):
        load_state(file, {})
    torch.save({"version": 99, **vars(State())}, file)
    with pytest.raises(ValueError, match="version 99"):
        load_state(file, {})


def test_the_state_of_another_training_says_what_differs(tmp_path):
    clip = torch.zeros(2, 4, 8, 8)
    marks = fingerprint(SETTINGS, [clip], "line")
    assert marks == fingerprint(replace(SETTINGS, steps=99, gradient_checkpointing=True), [clip], "line")
    file = Path(tmp_path / "a.state.pt")
    save_state(State(fingerprint=marks), file)
    with pytest.raises(ValueError, match=r"a\.state\.pt is of another training: clips was 1 \(\w+\), is 2 \(\w+\)\. Set these as they were"):
        load_state(file, fingerprint(SETTINGS, [clip, clip], "line"))


def test_the_plot_shows_falling_losses_falling():
    picture = loss_picture([1 / (1 + step) for step in range(400)])
    bright = (picture[0] - torch.tensor((93, 173, 226)) / 255).abs().sum(dim=-1) < 0.01
    columns = bright.any(dim=0).nonzero().flatten()
    rows = [bright[:, columns[index]].nonzero().float().mean() for index in (2, len(columns) // 2, -3)]
    assert rows[0] < rows[1] < rows[2]


def test_a_few_large_losses_do_not_hide_the_others():
    """Without the cut the falling line would lie on the floor."""
    losses = [0.1 - 0.0002 * step for step in range(400)]
    clean, spiked = loss_picture(losses), loss_picture([*losses[:200], 50.0, *losses[201:]])
    assert float((clean - spiked).abs().mean()) < 0.02
    assert loss_picture([0.5]).shape == loss_picture([]).shape == loss_picture([float("nan"), 0.2]).shape


def test_gradients_of_many_layers_are_few_messages():
    """Two processes took twice as long for a step when each layer was a message of its own."""
    small = [torch.zeros(1000) for _ in range(300)]
    large = torch.zeros(BUCKET // 4 + 1)
    given = [*small, large, torch.zeros(3), torch.zeros(3, dtype=torch.float64)]
    made = list(_buckets(given))
    assert [len(bucket) for bucket in made] == [300, 1, 1, 1]
    assert [id(tensor) for bucket in made for tensor in bucket] == [id(tensor) for tensor in given]
    assert list(_buckets([])) == []


@pytest.mark.parametrize("name", ["warm_up", "weight_decay", "gradient_limit", "min_snr", "debias", "average"])
def test_settings_below_zero_are_refused(name):
    with pytest.raises(ValueError, match=f"{name} must be 0 or more, got -1. Raise it"):
        TrainingSettings(**{name: -1})


def test_an_average_that_learns_nothing_is_refused():
    with pytest.raises(ValueError, match=r"average must be less than 1, got 1: nothing would be learnt\. Lower it"):
        TrainingSettings(average=1.0)
