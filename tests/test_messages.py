"""Text that comes from elsewhere reaches a terminal as text, whatever is in it."""

import sys
import unicodedata

import pytest

from jaxopt_course.messages import printable

OSC = "\x1b]0;owned\x07"  # sets the title of the window


@pytest.mark.parametrize(
    "text, shown",
    [
        (OSC, r"\x1b]0;owned\x07"),
        ("\x1b]52;c;cm0gLXJm\x1b\\", r"\x1b]52;c;cm0gLXJm\x1b" "\\"),  # the clipboard
        ("a\x1b[2Jb", r"a\x1b[2Jb"),
        ("a\x9b2Jb", r"a\x9b2Jb"),  # the same in one character, C1
        ("a\rb\x08c\x00d\x7f", r"a\rb\x08c\x00d\x7f"),
        ("a\nb\tc", r"a\nb\tc"),
        ("a\u2028b\x85c", r"a\u2028b\x85c"),
        ("a\u202eb\u2066c", r"a\u202eb\u2066c"),  # turns the direction of writing
        ("a\udcffb", r"a\udcffb"),  # a byte of a file name that is not UTF-8
        ("a\u200bb", r"a\u200bb"),  # not seen: two names would look the same
    ],
)
def test_what_a_terminal_obeys_is_shown(text, shown):
    assert printable(text) == shown


def test_names_that_differ_stay_different():
    assert printable("sgd\x07") != printable("sgd") != printable("sgd\x1b")


@pytest.mark.parametrize(
    "text",
    ["adam", "ñandú €", "优化器 ☃ λ", "می‌خواهم", "👩‍🔬", "a\u00a0b", "\\x1b"],
)
def test_what_people_write_stays(text):
    assert printable(text) == text


@pytest.mark.long
def test_no_control_of_unicode_gets_through():
    every = "".join(map(chr, range(sys.maxunicode + 1)))
    left = {unicodedata.category(c) for c in printable(every)}
    assert not left & {"Cc", "Cs", "Zl", "Zp"}
    assert {c for c in printable(every) if unicodedata.category(c) == "Cf"} == {"\u200c", "\u200d"}


def test_what_is_kept_is_kept_and_no_more():
    assert printable("a\nb\x1bc\r\n", keep="\n") == "a\nb\\x1bc\\r\n"
    assert printable(3.5) == "3.5"
