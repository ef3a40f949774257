"""The grammar of keyframes: what it reads, what it refuses and where, and what holds between two keyframes."""

from __future__ import annotations

import contextlib
import math
import time

import pytest
from animatediff_native.sampling.timeline.curve import STEPS, make_curve
from animatediff_native.sampling.timeline.keyframes import (
    EASINGS,
    Keyframe,
    Position,
    Timeline,
    TimelineError,
    blend,
    eased,
    laid_out,
)
from animatediff_native.sampling.timeline.text import NUMBERS, TEXTS, parse
from animatediff_native.sampling.timeline.writing import write
from hypothesis import given, settings
from hypothesis import strategies as st

EXAMPLES = settings(max_examples=1000, deadline=None)

# --- texts that are valid --------------------------------------------------------------------------------------------

parts = st.integers(0, 10**6).map(lambda n: Position(n / 10**6, True)) | st.floats(0, 1).map(lambda n: Position(abs(n), True))
positions = st.integers(-999, 9999).map(Position) | parts
finite = st.floats(-1e9, 1e9)
words = st.text(st.characters(exclude_characters="`", exclude_categories=["Cs"]), max_size=40).filter(lambda t: t.count("--neg") < 2)


def keyframes(kind: str) -> st.SearchStrategy[Keyframe]:
    ends = st.none() | positions
    hooks = st.integers(0, 12) if kind == TEXTS else st.just(0)
    values = words if kind == TEXTS else finite
    ranged = st.builds(Keyframe, positions, values, ends, st.booleans(), st.sampled_from(["", *EASINGS]), hooks)
    return ranged.map(lambda key: key if key.end is not None else Keyframe(key.start, key.value, easing=key.easing, hooks=key.hooks))


def timelines(kind: str) -> st.SearchStrategy[Timeline]:
    keyed = st.lists(keyframes(kind), min_size=1, max_size=8).map(lambda keys: Timeline(tuple(keys)))
    lists = st.lists(finite, min_size=1, max_size=20).map(lambda values: Timeline(values=tuple(values)))
    return keyed | lists if kind == NUMBERS else keyed


@pytest.mark.parametrize("kind", [NUMBERS, TEXTS])
def test_valid_texts_round_trip(kind: str) -> None:
    @EXAMPLES
    @given(timelines(kind))
    def check(timeline: Timeline) -> None:
        text = write(timeline)
        assert parse(text, kind) == timeline
        assert write(parse(text, kind)) == text

    check()


old_keys = st.tuples(st.sampled_from(["0", "8", "-1", ".5", "0.25", "1.0"]), st.sampled_from(["", ":", ":12", ":-1", ":.75"])).map("".join)
old_prompts = st.text("abc, ()0.:'=#\n", max_size=12)


@EXAMPLES
@given(st.lists(st.tuples(old_keys, old_prompts), min_size=1, max_size=6), st.booleans(), st.booleans(), st.sampled_from([",\n", ", ", "\n"]))
def test_spellings_of_other_packs_mean_the_same(entries: list[tuple[str, str]], quoted: bool, braces: bool, between: str) -> None:
    """JSON lines and Python-like lines, in braces or not, give the keyframes that our own lines give."""
    lines = [f'"{key}": "{prompt}"' if quoted else f'{key} = "{prompt}"' for key, prompt in entries]
    text = between.join(lines)
    found = parse(f"{{{text}}}" if braces else text, TEXTS)
    ours = []
    for key, prompt in entries:
        start, colon, end = key.partition(":")
        own = f"{start}..<{end}" if end else f"{start} hold" if colon else start
        ours.append(f'{own}: "{prompt}"'.replace("\n", "\\n"))
    assert found == parse("\n".join(ours), TEXTS)


# --- any text --------------------------------------------------------------------------------------------------------

fragments = st.sampled_from(
    ['"', ":", "=", "0", "8", "-1", ".5", "50%", "..", "..<", "hold", "hooks", "ease-in", "1e999", "1e5", ",", "\n", " ", "{", "}", " \n", "\r\n", "# c ", "'", "“", "”", "\\u00e9"]
) | st.sampled_from(["#", "`", "--neg", "t*", "sin(", ")", "+t", "max_f", "\\", '\\"', "(", ")", "cat", "9" * 30, "é", "٣", "\r", "\t", "\u2028", "1girl", "-", "."])
anything = st.text() | st.lists(fragments, max_size=25).map("".join)


@pytest.mark.parametrize("kind", [NUMBERS, TEXTS])
def test_any_text_is_read_or_refused_with_its_position(kind: str) -> None:
    @EXAMPLES
    @given(anything, st.none() | st.integers(1, 40))
    def check(text: str, frames: int | None) -> None:
        try:
            timeline = parse(text, kind)
            assert parse(write(timeline), kind) == timeline
            if timeline.keyframes:
                laid_out(timeline, frames)
        except TimelineError as error:
            lines = text.split("\n")
            assert 1 <= error.line <= len(lines) and 1 <= error.column <= len(lines[error.line - 1]) + 1
            assert str(error).startswith(f"Line {error.line}, column {error.column}: ")

    check()


@pytest.mark.parametrize(
    ("text", "kind", "line", "column", "words"),
    [
        ("", NUMBERS, 1, 1, "nothing here"),
        ("0: 1\n8: x", NUMBERS, 2, 4, "needs a number"),
        ("0: 1\n8 quick: 2", NUMBERS, 2, 3, "'quick' is no word"),
        ("0: 1, 1.5: 2", NUMBERS, 1, 7, "lies after the end"),
        ("0: 1 8: 2", NUMBERS, 1, 6, "needs a comma or a new line"),
        ("1, 2, three", NUMBERS, 1, 7, "needs a number"),
        ("0: (1.0", NUMBERS, 1, 8, "needs )"),
        ('"0": "a",\n"8: "b"', TEXTS, 2, 1, "needs a position before"),
        ('"0": "a', TEXTS, 1, 6, "not closed"),
        ('{"0": "a"', TEXTS, 1, 1, "brace"),
        ("0: a\nand b\n8: c", TEXTS, 2, 1, "needs a position"),
        ('"a cat"', TEXTS, 1, 1, "needs a position before"),
        ('0: "a" b', TEXTS, 1, 8, "needs a comma or a new line after a prompt"),
        ("0: a (b:`t/`)", TEXTS, 1, 10, "'t/' is no expression"),
        ("0: a\n8: a (b:`1+u`)", TEXTS, 2, 12, "'u' is not known here. Known are max_f, pi, t"),
        ("0: a (b:`t)", TEXTS, 1, 9, "this backtick is not closed"),
        ("0: a --neg b --neg c", TEXTS, 1, 14, "a second --neg in one prompt"),
        ("a --neg b\nc --neg d", TEXTS, 2, 3, "a second --neg in one prompt"),
        ("0: 1\n8: 2 * (t + u)", NUMBERS, 2, 13, "'u' is not known here"),
        ("0: 20*sine(t)", NUMBERS, 1, 7, "'sine' is no function here"),
        ("2 * t, 3", NUMBERS, 1, 3, "needs a number"),
        ("0: t -", NUMBERS, 1, 4, "is no expression"),
        ("0: 1e9 * 2", NUMBERS, 1, 4, "at most 1e+09"),
        ("0: a cat\n8 to 12: a dog", TEXTS, 2, 3, "a range is written with two points, such as 8..12:"),
        ("0: a cat, 8: a dog", TEXTS, 1, 11, "a second position on this line"),
        ("0:8: a cat", TEXTS, 1, 3, "a second position on this line"),
        ("0 Slow: 1", NUMBERS, 1, 3, "linear, ease-in, ease-out, ease-in-out, step or hold."),
        ("0: 1e10", NUMBERS, 1, 4, "of at most 1e+09"),
        ("0...8: 1", NUMBERS, 1, 1, "Write 0..8: 1 for a keyframe."),
        ("0-4: 1", NUMBERS, 1, 1, "Write 0..4: 1 for a keyframe."),
        ("0: 1\nframe 8: 0.5", NUMBERS, 2, 1, "Write 8: 0.5 for a keyframe."),
        ("8; 1", NUMBERS, 1, 1, "Write 8: 1 for a keyframe."),
        ("0: 1\n8 2", NUMBERS, 2, 1, "Write 8: 2 for a keyframe."),
        ("0: 1\nlast: 2", NUMBERS, 2, 1, "Write -1: 2 for a keyframe."),
        ("0: 1, 101%: 2", NUMBERS, 1, 7, "from 0% to 100%"),
        ("0: 1\neight: 0.5", NUMBERS, 2, 1, "needs a position and a number"),
        ("“a cat”", TEXTS, 1, 1, "needs a position before"),
        ("99999999: a", TEXTS, 1, 1, "frame numbers go up to"),
    ],
)
def test_errors_name_position_and_remedy(text: str, kind: str, line: int, column: int, words: str) -> None:
    with pytest.raises(TimelineError) as caught:
        parse(text, kind)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert words in str(caught.value)


NEARLY = [
    ("0-4: a cat\n5-8: a dog", 1, "0..4: a cat"),
    ("frame 0: a cat\nframe 8: a dog", 1, "0: a cat"),
    ("0: a cat\nframe 8: a dog", 2, "8: a dog"),
    ("0 a cat\n8 a dog", 1, "0: a cat"),
    ("0: a cat\n8 a dog", 2, "8: a dog"),
    ("0: a cat\n8; a dog", 2, "8: a dog"),
    ("0: a cat\n8-12: a dog", 2, "8..12: a dog"),
    ("8; a dog", 1, "8: a dog"),
    ("[8] a dog\n0: a cat", 1, "8: a dog"),
    ("0: a cat\n(8): a dog", 2, "8: a dog"),
    ("0: a cat\n-1 a dog", 2, "-1: a dog"),
    ("0: a cat\n50% a dog", 2, "50%: a dog"),
    ("0: a cat\n8：a dog", 2, "8: a dog"),
    ("0: a cat\n８: a dog", 2, "8: a dog"),
    ("0: a cat\n8\u00a0a dog", 2, "8: a dog"),
    ("0: a cat\n8 - a dog", 2, "8: a dog"),
    ("0: a cat\n- 8: a dog", 2, "8: a dog"),
    ("0: a cat\n8..12 a dog", 2, "8..12: a dog"),
    ("0: a cat\n8~12: a dog", 2, "8..12: a dog"),
    ("0s: a cat\n1s: a dog", 1, "0: a cat"),
    ("0.0-0.5: a cat\n0.5-1: a dog", 1, "0.0..0.5: a cat"),
    ("0.5-1: a dog", 1, "0.5..1.0: a dog"),
    ("Frame 8: a dog", 1, "8: a dog"),
    ("frame-8: a dog", 1, "8: a dog"),
    ("0: a cat\nkeyframe 8: a dog", 2, "8: a dog"),
    ("0: a cat\nat frame 8: a dog", 2, "8: a dog"),
    ("0: a cat\nt=8: a dog", 2, "8: a dog"),
    ("0: a cat\nlast: a dog", 2, "-1: a dog"),
    ("first: a cat\nlast: a dog", 1, "0: a cat"),
    ("0: a cat\n8", 2, "8: a prompt"),
    ("frame -1: a dog", 1, "-1: a dog"),
    ("0: a cat\nkeyframe -4 a dog", 2, "-4: a dog"),
    ("0: a cat\n8..-1 a dog", 2, "8..-1: a dog"),
    ("0: a cat\n8--1: a dog", 2, "8..-1: a dog"),
    ("0: a cat\n8-4: a dog", 2, "4..8: a dog"),
    ("0: a cat\n8 => a dog", 2, "8: a dog"),
    ("0: a cat\n50 %: a dog", 2, "50%: a dog"),
    ("0%-50: a dog", 1, "0%..50%: a dog"),
    ("0: a cat\nlast：a dog", 2, "-1: a dog"),
]


@pytest.mark.parametrize(("text", "line", "spelling"), NEARLY)
def test_a_line_that_is_nearly_a_keyframe_is_refused(text: str, line: int, spelling: str) -> None:
    """It is not taken for text of the prompts; the message says how to write it, and that spelling can be used."""
    with pytest.raises(TimelineError) as caught:
        parse(text, TEXTS)
    assert (caught.value.line, caught.value.column) == (line, 1)
    assert f"Write {spelling} for a keyframe" in str(caught.value)
    timeline = parse(spelling, TEXTS)
    assert len(laid_out(timeline, 16)) == 1 and timeline.head == timeline.tail == ""


@pytest.mark.parametrize(
    ("text", "head", "tail"),
    [
        ("1girl, solo\n0: a cat", "1girl, solo", ""),
        ("8k, masterpiece\n0: a cat\n4k wallpaper", "8k, masterpiece", "4k wallpaper"),
        ("F1 car, 3d render\n0: a cat", "F1 car, 3d render", ""),
        ("3/4 view\n0: a cat\n90's film", "3/4 view", "90's film"),
        ("framed picture\n0: a cat\nat 8k", "framed picture", "at 8k"),
        ("(8 cats:1.2)\n0: a cat", "(8 cats:1.2)", ""),
        ("first person view\n0: a cat\n1.5x zoom", "first person view", "1.5x zoom"),
        ("2,000 people\n0: a cat\nat 10:30 pm", "2,000 people", "at 10:30 pm"),
        ("80s car\n0: a cat\n8th century church", "80s car", "8th century church"),
    ],
)
def test_text_that_only_begins_like_a_position_is_text(text: str, head: str, tail: str) -> None:
    timeline = parse(text, TEXTS)
    assert (timeline.head, timeline.tail, len(timeline.keyframes)) == (head, tail, 1)


ORDINARY = [
    *("2 dogs in the rain", "a photo of\n2 dogs", "2 dogs\nin the rain", "2 dogs\n3 cats", "at 16:9", "at 10:30 pm, city"),
    *("a city\nat 12:00 noon", "1990 - a city at night", "24 - a photo", "4 | group", "2 -> 3", "f1.8 - bokeh", "f 1.8: bokeh"),
    *("step 1: draw", "frame 1 of 10", "35 mm photo", "1920s: a car", "last: a dog"),
]


@pytest.mark.parametrize("text", ORDINARY)
def test_an_ordinary_prompt_may_begin_with_a_number(text: str) -> None:
    assert [key.value for key in parse(text, TEXTS).keyframes] == [text.replace("\n", " ")]


@pytest.mark.parametrize("text", ["0 0.5\n8 1.0", "0, 0.5\n8, 1.0\n", "0 0.5\n\n8 1.0", "[0 0.5\n8 1.0]"])
def test_two_numbers_on_each_line_are_no_list(text: str) -> None:
    with pytest.raises(TimelineError, match=r"Write 0: 0\.5 for keyframes, or a list on one line"):
        parse(text)


@pytest.mark.parametrize("text", ["frame" + " " * 20_000 + "x\n0: a", "0: a\nat" + " " * 20_000 + "x", "0: a\n" + "8 " * 20_000])
def test_long_lines_take_no_time(text: str) -> None:
    start = time.perf_counter()
    with contextlib.suppress(TimelineError):
        parse(text, TEXTS)
    assert time.perf_counter() - start < 0.5


def test_the_front_end_shows_no_folder_of_this_file() -> None:
    """The host shows users the module and name of an exception's type."""
    assert f"{TimelineError.__module__}.{TimelineError.__qualname__}" == "AnimateDiff.TimelineError"


# --- meaning ---------------------------------------------------------------------------------------------------------


def values(text: str, frames: int, **options: object) -> list[float]:
    keys = laid_out(parse(text), frames)
    found = [blend(keys, i, **options) for i in range(frames)]
    return [round(keys[a].keyframe.value * (1 - t) + keys[b].keyframe.value * t, 6) for a, b, t in found]


def test_what_a_timeline_of_prompts_holds() -> None:
    timeline = parse("masterpiece\n0: a (cat:1.2), sun\n# a comment\n8 ease-in hooks 2: a dog\nsharp", TEXTS)
    assert (timeline.head, timeline.tail) == ("masterpiece", "sharp")
    assert [(key.value, key.easing, key.hooks) for key in timeline.keyframes] == [("a (cat:1.2), sun", "", 0), ("a dog", "ease-in", 2)]
    assert [key.value for key in parse("1girl, best quality\nin a park", TEXTS).keyframes] == ["1girl, best quality in a park"]


def test_positions() -> None:
    keys = laid_out(parse("0: 1, 25%: 2, .5: 3, 9..11: 4, 12..<14: 5, -1: 6"), 17)
    assert [(key.first, key.last) for key in keys] == [(0, 0), (4, 4), (8, 8), (9, 11), (12, 13), (16, 16)]
    assert [(key.first, key.last) for key in laid_out(parse("0..50%: 1, .75: 2, -1: 3"), None)] == [(0, 0.5), (0.75, 0.75), (1, 1)]


@pytest.mark.parametrize(
    ("text", "frames", "words"),
    [
        ("0: 1\n-20: 2", 16, "Line 2, column 1: -20 lies before the first of 16 frames"),
        ("0: 1, 8: 2, 8: 3", 17, "Line 1, column 13: frame 8 has two keyframes"),
        ("0: 1, .5: 2, 50%: 3", 17, "Line 1, column 14: frame 8 has two keyframes"),
        ("0: 1, .5: 2, 50%: 3", None, "50% of the run has two keyframes"),
        ("0..60%: 1, 50%..1.0: 2", None, "50% of the run has two keyframes"),
        ("0..8: 1, 8: 2", 17, "frame 8 has two keyframes"),
        ("8..4: 1", 17, "4 lies before 8"),
        ("0: 1, 8: 2", None, "Line 1, column 7: over steps, positions are parts of the sampling run: write 0.5 or 50%, not 8"),
    ],
)
def test_positions_that_cannot_be(text: str, frames: int | None, words: str) -> None:
    with pytest.raises(TimelineError, match=words):
        laid_out(parse(text), frames)


@pytest.mark.parametrize(
    ("text", "frames", "positions"),
    [
        ("0: 0.0\n-1: 1.0", 1, [(0, 0, 1.0)]),
        ("0: 1, 0.5: 2, 1.0: 3", 2, [(0, 0, 2.0), (1, 1, 3.0)]),
        ("0..50%: 1, 50%..100%: 2", 17, [(0, 7, 1.0), (8, 16, 2.0)]),
        ("0..50%: 1, 50%..100%: 2", None, [(0, 0.5, 1.0), (0.5, 1, 2.0)]),
        ('"12:4": 1', 17, [(4, 11, 1.0)]),
    ],
)
def test_positions_that_depend_on_the_length_may_fall_together(text: str, frames: int | None, positions: list[tuple[float, ...]]) -> None:
    assert [(key.first, key.last, key.keyframe.value) for key in laid_out(parse(text), frames)] == positions


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("'0': 'a cat\\'s eye', '8': 'a dog'", "a cat's eye"),
        ("“0”: “a cat”,\n“8”: “b”", "a cat"),
        ("0: 'tis the season", "'tis the season"),
        ("0: a wide view, 16:9, sharp", "a wide view, 16:9, sharp"),
        ("{a|b} cat", "{a|b} cat"),
        ('"0": "caf\\u00e9 \\/ \\(bar\\)"', "café / \\(bar\\)"),
        ("", ""),
        ("0 HOLD: x", "x"),
        ('"0": "\\ud83d\\ude00 and \\ud83d"', "😀 and \ufffd"),
        ("0: a cat\r\n# c \r\n", "a cat"),
    ],
)
def test_prompts_as_people_write_them(text: str, value: str) -> None:
    assert parse(text, TEXTS).keyframes[0].value == value


@pytest.mark.parametrize("text", ["[0, 1, 2]", "(0 1 2)", "0\n1\n2 # c \n", "0, 1,\r\n2\r\n# c\r\n"])
def test_lists_as_people_write_them(text: str) -> None:
    assert parse(text).values == (0, 1, 2)


@pytest.mark.parametrize("text", ["0: '0.5'", "0: {0.5}", "0: [0.5]", "0: (0.5) # c \n", "{0: 0.5}\n"])
def test_numbers_as_people_write_them(text: str) -> None:
    assert parse(text).keyframes[0].value == 0.5


def test_between_keyframes() -> None:
    assert values("0: 0, 4: 1", 6) == [0, 0.25, 0.5, 0.75, 1, 1]
    assert values("1: 2, 3: 4", 6) == [2, 2, 3, 4, 4, 4]
    assert values("0 hold: 0, 4: 1", 6) == [0, 0, 0, 0, 1, 1]
    assert values("0..2: 0, 4: 1", 6) == [0, 0, 0, 0.5, 1, 1]
    assert values("0: 0, 8: 1", 5) == [0, 0.125, 0.25, 0.375, 0.5]  # towards a keyframe after the end
    assert values("4: 1, 0: 0", 5, easing="ease-in") == [0, 0.0625, 0.25, 0.5625, 1]
    assert values("0 ease-out: 0, 4: 1", 5) == [0, 0.4375, 0.75, 0.9375, 1]


def curve(text: str, frames: int, **options: object) -> list[float]:
    return [round(value, 6) for value in make_curve(text, **options).numbers(frames)]


@pytest.mark.parametrize(
    ("text", "frames", "numbers"),
    [
        ("t / 4", 5, [0, 0.25, 0.5, 0.75, 1]),
        ("0: (t * 2), 3: 1", 5, [0, 2, 4, 1, 1]),  # an expression goes on until the next keyframe
        ("0 linear: t, 4: 0", 5, [0, 0.75, 1, 0.75, 0]),
        ("0: 0\n4: (10 + t)", 6, [0, 3.5, 7, 10.5, 14, 15]),  # and a number moves to what it is at its own frame
        ("2: (t)", 4, [2, 2, 2, 3]),
        ("where(t >= 2, 1, 0)", 4, [0, 0, 1, 1]),
        ("0: (1/2), 4: 1", 5, [0.5, 0.625, 0.75, 0.875, 1]),
        ("max_f - t # down\n", 3, [2, 1, 0]),
        ("{0: max(t,\n 1)}", 3, [1, 1, 2]),
        ("0..1: (t)\n3: 0", 4, [0, 1, 2, 0]),
    ],
)
def test_values_may_be_expressions(text: str, frames: int, numbers: list[float]) -> None:
    assert curve(text, frames) == numbers
    assert curve(write(parse(text)), frames) == numbers


def test_expressions_over_steps_and_in_loops() -> None:
    over_steps = make_curve("0: (t ** 2)\n50%: (max_f - t)", over=STEPS)
    assert [over_steps.at_percent(p) for p in (0.0, 0.25, 0.5, 1.0)] == [0.0, 0.0625, 0.5, 0.0]
    assert over_steps.constant is None and make_curve("1 / 4").constant == 0.25
    assert curve("2: (t)", 4, loop=True) == [4, 5, 2, 3]  # before the first keyframe, the last one goes on


def test_keyframes_after_the_end_may_be_left_out() -> None:
    assert curve("0: 0, 4: 4, 8: 8", 7) == [0, 1, 2, 3, 4, 5, 6]
    assert curve("0: 0, 4: 4, 8: 8", 7, within=7) == [0, 1, 2, 3, 4, 4, 4]
    assert curve("20: 3", 2, within=2) == [3, 3]


def test_loops_go_from_the_last_to_the_first() -> None:
    assert values("0: 0, 4: 4", 8, period=8) == [0, 1, 2, 3, 4, 3, 2, 1]
    assert values("2: 0, 6: 4", 8, period=8) == [2, 1, 0, 1, 2, 3, 4, 3]
    assert values("3: 5", 4, period=4) == [5, 5, 5, 5]
    assert values("0..3: 0, 4..7: 1", 8, period=8) == [0, 0, 0, 0, 1, 1, 1, 1]


@pytest.mark.parametrize("ease", EASINGS)
def test_eases_go_from_0_to_1_without_turning_back(ease: str) -> None:
    steps = [eased(i / 100, ease) for i in range(100)]
    assert steps[0] == 0 and steps == sorted(steps) and all(0 <= step <= 1 for step in steps)
    assert ease == "step" or math.isclose(eased(1.0, ease), 1.0)
    assert eased(0.5, ease) == pytest.approx({"ease-in": 0.25, "ease-out": 0.75, "step": 0.0}.get(ease, 0.5))
