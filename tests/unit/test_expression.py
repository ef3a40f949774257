"""Expressions: what they are worth, what is refused and where, and prompts made of them."""

from __future__ import annotations

import math
import time

import pytest
from animatediff_native.sampling.timeline.errors import TimelineError
from animatediff_native.sampling.timeline.expression import read_expression
from animatediff_native.sampling.timeline.template import filled, read_template, split_negative
from hypothesis import given, settings
from hypothesis import strategies as st

NAMES = {"t": 3.0, "max_f": 15.0, "a": 0.5}


def value(text: str) -> float:
    return read_expression(text, {"a"}, text, 0).value(NAMES)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1 / 2", 0.5),
        ("7 // 2 - -1", 4),
        ("-t % 5", 2),
        ("-2 ** 2", -4),
        ("2 ** -1", 0.5),
        ("0 ** 0 ** (0 - sin(1))", 0),  # the square wave that people write: 0 to a negative power is infinite
        ("0 ** 0 ** (0 - sin(4))", 1),
        ("sin(t / 5) * cos(pi) + tan(a)", -math.sin(0.6) + math.tan(0.5)),
        ("sqrt(16) + exp(0) + log(1) + abs(-2) + floor(2.7) + ceil(0.1) + round(2.4)", 12),
        ("min(3, 1, 2) + max(t, a)", 4),
        ("where((t > 2) & (t < 9), a, 7)", 0.5),
        ("(1 < t < 3) | (t == 3)", 1),
        ("t != 3", 0),
        ("pw_a * 2", 1),
        ("\n t\t+ 1 ", 4),
        ("arctan2(1, 1) * 4 - pi", 0),
        ("1e3 * .5", 500),
    ],
)
def test_worth(text: str, number: float) -> None:
    assert value(text) == pytest.approx(number)


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("t +", 1, "'t +' is no expression"),
        ("  ", 1, "needs an expression here"),
        ("1 + b", 5, "'b' is not known here. Known are a, max_f, pi, t"),
        ("t ^ 2", 1, "Write ** for powers"),
        ("t.real", 1, "needs arithmetic"),
        ("t[0]", 1, "needs arithmetic"),
        ("1 + (lambda: 1)", 6, "needs arithmetic"),
        ("[1 for t in a]", 1, "needs arithmetic"),
        ("t if a else 1", 1, "needs arithmetic"),
        ("a and t", 1, "needs arithmetic"),
        ("not t", 1, "needs arithmetic"),
        ("t in a", 1, "needs arithmetic"),
        ("2 * 'x'", 5, "'x' is no number"),
        ("True", 1, "True is no number"),
        ("1j", 1, "1j is no number"),
        ("a := 1", 1, "is no expression"),
        ("__import__('os')", 1, "'__import__' is no function here"),
        ("sin.real(t)", 1, "'sin.real' is no function here"),
        ("sin", 1, "'sin' is not known"),
        ("sin(t, a)", 1, "sin needs 1 number; got 2"),
        ("where(t, 1)", 1, "where needs 3 numbers; got 2"),
        ("max(t)", 1, "max needs 2 numbers or more; got 1"),
        ("sin(*a)", 5, "needs arithmetic"),
        ("sin(x=t)", 1, "sin needs 1 number; got 1"),
        ("t×2", 1, "plain letters"),
        ("t" + " + t" * 200, 1, "at most 400 letters"),
        ("+".join("1" * 150), 1, "at most 200 parts"),
        ("(" * 50 + "t" + ")" * 50 + "+" + "-" * 50 + "t", 1, "40 brackets"),
        ("9" * 399, 1, "less than 1e+300"),
    ],
)
def test_what_is_refused(text: str, column: int, words: str) -> None:
    with pytest.raises(TimelineError) as caught:
        value(text)
    assert words in str(caught.value) and (caught.value.line, caught.value.column) == (1, column)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1 / (t - 3)", r"1 / \(t - 3\) needs a number of at most 1e\+09; it is inf where t is 3"),
        ("log(-1)", "it is nan"),
        ("9 ** 9 ** 9 ** 9", "it is inf"),
        ("2e9", "it is 2e\\+09"),
    ],
)
def test_results_are_finite(text: str, words: str) -> None:
    with pytest.raises(TimelineError, match=words):
        value(text)


pieces = st.sampled_from(["t", "a", "1", ".5", "+", "-", "**", "(", ")", "sin(", "where(", ",", "<", "&", " ", "\n", "'", "[", ".", "lambda", ":", "é", "\0"])


@settings(max_examples=1000, deadline=None)
@given(st.text(max_size=60) | st.lists(pieces, max_size=25).map("".join))
def test_any_text_is_worked_out_or_refused_with_its_position(text: str) -> None:
    source = f"x{text}"
    try:
        found = read_expression(text, {"a"}, source, 1)
        assert math.isfinite(found.value(NAMES)) and found.names <= {"t", "a", "max_f"}
    except TimelineError as error:
        assert 0 <= error.offset <= len(source)


@pytest.mark.parametrize("text", ["(" * 400, "-" * 399 + "1", "9**" * 120 + "9", "~" * 400, "[" * 400])
def test_hostile_texts_take_no_time(text: str) -> None:
    start = time.perf_counter()
    with pytest.raises(TimelineError):
        value(text)
    assert time.perf_counter() - start < 0.5


# --- prompts ---------------------------------------------------------------------------------------------------------


def test_prompts_hold_numbers() -> None:
    template = read_template("a (smile:`a`), (sun:`t / 9`) `t` birds, `-a * 0`", {"a"}, "", 0)
    assert filled(template, NAMES) == "a (smile:0.5), (sun:0.333333) 3 birds, 0"
    assert filled(read_template("no numbers", (), "", 0), {}) == "no numbers"
    assert filled(read_template("`1e6 * 100`", (), "", 0), {}) == "100000000"


@pytest.mark.parametrize(
    ("text", "both"),
    [
        ("a cat", ("a cat", "")),
        ("a cat --neg blurry, dark", ("a cat", "blurry, dark")),
        ("--neg blurry", ("", "blurry")),
        ("a cat --negative blurry", ("a cat", "blurry")),
        ("a cat--negblurry", ("a cat", "blurry")),
        ("a cat --neg", ("a cat", "")),
    ],
)
def test_the_negative_part(text: str, both: tuple[str, str]) -> None:
    assert split_negative(text, text, 0) == both
