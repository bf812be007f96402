"""What `safe` promises about text from outside."""

import re
import string
import unicodedata

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.ui.markup import md, plain, plain_frame, safe, visible

# Letters are drawn into anything by the browser's own additions to Markdown, so they come often.
PIECES = st.sampled_from(
    [
        "http://",
        "https://",
        "www.",
        "@",
        "a@b.c",
        "->",
        "--",
        "<-",
        ">=",
        ":streamlit:",
        ":material_home:",
        ":red[x]",
        "$x$",
        "`",
        "*",
        "_",
        "h",
        "w",
        "![](http://127.0.0.1/x)",
    ]
)
TEXTS = st.lists(st.one_of(PIECES, st.text(max_size=3)), max_size=12).map("".join)
EMPHASISED = re.compile(r"(?<!\\)\*((?:\\.|[^*\\])+)(?<!\\)\*")
ESCAPED = re.compile(r"\\([" + re.escape(string.punctuation) + r"])")


def drawn(markdown: str) -> str:
    """The letters that are left when escapes and italics are taken away."""
    return ESCAPED.sub(r"\1", EMPHASISED.sub(r"\1", markdown))


@pytest.mark.parametrize(
    "text",
    [
        "![](http://127.0.0.1:9/x.png)",
        "[approve](http://127.0.0.1:9/)",
        ":red[**APPROVED**]",
        ":green-badge[Production]",
        ":material/check_circle: done",
        ":tada:",
        "$\\frac{1}{2}$",
        "<script>alert(1)</script>",
        "<img src=http://127.0.0.1:9/x onerror=alert(1)>",
        "`code` ~~gone~~ **bold** __bold__ _italic_",
        "# headline",
        "1. first",
        "- item",
        "> quoted",
        "a | b",
        "&lt;b&gt;",
        'say "yes"',
        "back\\slash",
    ],
)
def test_every_mark_is_escaped_and_every_letter_stays(text: str) -> None:
    assert drawn(safe(text)) == text
    bare = EMPHASISED.sub("", safe(text))
    assert not re.search(r"(?<!\\)(?:\\\\)*[" + re.escape("![]()$<>`~*_#|&:") + "]", bare)


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("see http://evil.example/x", r"see *h*ttp\:\/\/evil\.example\/x"),
        ("HTTPS://E.COM", r"*H*TTPS\:\/\/E\.COM"),
        ("www.evil.example", r"*w*ww\.evil\.example"),
        ("ada@evil.example", r"ada\@*e*vil\.example"),
        ("ada@-_evil.example", r"ada\@\-\_*e*vil\.example"),
    ],
)
def test_a_bare_address_is_no_link(text: str, broken: str) -> None:
    assert safe(text) == broken


@pytest.mark.parametrize("text", ["-> <- <-> -- >= <= ~=", ":streamlit:", ":material_home:"])
def test_nothing_is_rewritten_after_escapes_are_resolved(text: str) -> None:
    assert drawn(safe(text)) == text
    assert safe(text).count("*") == 2 * len(text.split())


def test_neighbouring_italics_are_one() -> None:
    assert safe("@hhttp://x") == r"\@*hh*ttp\:\/\/x"


def test_ordinary_text_is_not_touched() -> None:
    assert safe("forest 12 Grüße 東京") == "forest 12 Grüße 東京"
    assert safe("a->b, x>=1, 10:30:45, team@work") == (
        r"a\-\>b\, x\>\=1\, 10\:30\:45\, team\@*w*ork"
    )


def test_lines_become_one() -> None:
    assert safe("first\r\n\n  second\tthird \u2028 fourth") == "first second third fourth"


def test_control_and_direction_characters_are_taken_out() -> None:
    assert safe("safe\u202egnp.exe\u2066x\u200bx\x00\x1b") == r"safegnp\.exexx"


def test_joiners_stay_where_scripts_need_them() -> None:
    assert visible("می\u200cخواهم 👨\u200d👩") == "می\u200cخواهم 👨\u200d👩"
    assert visible("a\u200cb\u200d") == "ab"


def test_a_long_text_is_cut_before_it_is_escaped() -> None:
    assert safe("*" * 500, 4) == r"\*\*\*…"
    assert safe("abcd", 4) == "abcd"


def test_anything_can_be_shown() -> None:
    assert safe(None) == "None"
    assert safe(1.5) == r"1\.5"


def test_a_sentence_keeps_its_own_markup_and_none_of_its_fields() -> None:
    said = md("endpoints.page.stop_question", name="**x** :red[y]")
    assert r"\*\*x\*\* \:red\[y\]" in said


@given(TEXTS)
def test_whatever_comes_is_drawn_as_its_visible_letters(text: str) -> None:
    assert drawn(safe(text)) == " ".join(visible(text).split())


@given(TEXTS)
def test_what_is_drawn_holds_nothing_invisible(text: str) -> None:
    kinds = {unicodedata.category(c) for c in drawn(safe(text)) if c not in "\u200c\u200d"}
    assert not kinds & {"Cc", "Cf", "Cs", "Zl", "Zp"}


def test_tables_and_json_without_characters_that_turn_text_round() -> None:
    frame = pd.DataFrame(
        {"a\u202e": ["x\u202ey", "ok"], "a": [["\x00l"], []], "n": [1.5, 2.0]}, index=[3, 4]
    )
    made = plain_frame(frame)
    assert list(made.columns) == ["a", "a'", "n"]
    assert list(made["a"]) == ["xy", "ok"]
    assert list(made["a'"]) == [["l"], []]
    assert made["n"].dtype == float
    assert list(made.index) == [3, 4]
    assert plain({"k\u202e": ["\u202dv", 1]}) == {"k": ["v", 1]}
