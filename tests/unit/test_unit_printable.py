"""Text made fit to be shown: what is not visible is spelt out, everywhere in one way."""

from __future__ import annotations

import json
import sys
import unicodedata

import pytest

from bide.operate.finding import fail, in_words, lines
from bide.printable import one_line, printable, printable_json, record

HOSTILE = {
    "\x1b": "\\u001b", "\x00": "\\u0000", "\r": "\\u000d", "\x7f": "\\u007f", "\x85": "\\u0085",
    "\x9b": "\\u009b",
    "\xad": "\\u00ad", "\u061c": "\\u061c", "\u200b": "\\u200b", "\u200f": "\\u200f", "\u2028": "\\u2028",
    "\u2029": "\\u2029", "\u202e": "\\u202e", "\u2066": "\\u2066", "\ufeff": "\\ufeff",
    "\U000e0041": "\\U000e0041",
    "\ud800": "\\ud800", "\ue000": "\\ue000", "\uffff": "\\uffff", "\u3164": "\\u3164",
    "\U000e0100": "\\U000e0100",
}  # fmt: skip
"""Controls, directions, no widths, tags, separators, half a pair, private, unassigned, what shows nothing."""

VISIBLE = "plain ~ \\ \xa0ü ß 任务 \u3000 עברית عربي e\u0301 ❤\ufe0f 🙂"


@pytest.mark.parametrize(("hostile", "spelt"), HOSTILE.items(), ids=map(ascii, HOSTILE))
def test_what_is_not_visible_is_spelt_out(hostile: str, spelt: str) -> None:
    assert printable(f"a{hostile}b") == f"a{spelt}b"
    assert one_line(f"a{hostile}b") == f"a{spelt}b"


def test_every_character_of_unicode_is_either_visible_or_spelt_in_ascii() -> None:
    whole = "".join(map(chr, range(sys.maxunicode + 1)))
    shown = printable(whole)
    hidden = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert {c for c in shown if unicodedata.category(c) in hidden} == {"\t", "\n"}
    kept = [c for c in whole if unicodedata.category(c)[0] in "LNPS" and len(printable(c)) > 1]
    assert set(kept) == set("\u115f\u1160\u3164\uffa0"), "letters that show nothing"


def test_what_is_visible_stays_as_it_is() -> None:
    for change in (printable, one_line, printable_json):
        assert change(VISIBLE) == VISIBLE
    assert printable("a\tb\nc") == "a\tb\nc"
    assert one_line("a\tb \n\n c") == "a b c"


def test_further_lines_of_a_record_do_not_begin_at_the_edge() -> None:
    assert record("one\ntwo\r\nthree") == "one\n    two\\u000d\n    three"


def test_json_means_the_same() -> None:
    for hostile in HOSTILE:
        shown = printable_json(json.dumps({hostile: [hostile]}, ensure_ascii=False))
        assert json.loads(shown) == {hostile: [hostile]}
        assert hostile not in shown
    assert printable_json('"\U000e0041"') == '"\\udb40\\udc41"'


def test_findings_say_nothing_to_the_terminal() -> None:
    found = fail("store", "it says \x1b[2J\u200b\nok    forged", "Do \x9bnothing.")
    shown = [*lines([found]), in_words(found)]
    assert all(line.isprintable() for line in shown)
    assert "\\u001b[2J\\u200b ok    forged" in shown[0]
