"""What people and models wrote is shown well, and never runs."""

import random
import re
import time
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from annotation.highlighting import LANGUAGES, highlight
from annotation.prose import ATTRIBUTES, CLASSES, TAGS, VALUES, folded, language_of, to_html
from annotation.templatetags.text import markdown
from tests.attacks import ATTACKS, KINDS, whole


class Reader(HTMLParser):
    """Reads a page as a browser does, and notes every element, attribute, comment and declaration."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: set[tuple[str, str]] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.add((tag, ""))
        for name, value in attrs:
            if name == "class":
                self.found |= {(tag, f"class={one}") for one in (value or "").split()}
            else:
                self.found.add((tag, f"{name}={value}" if name in VALUES.get(tag, {}) else name))

    def handle_data(self, data: str) -> None:
        self.text += data

    def note_markup(self, data: str) -> None:
        self.found.add(("markup", data))

    handle_comment = handle_decl = handle_pi = unknown_decl = note_markup


ALLOWED = (
    {(tag, "") for tag in TAGS}
    | {(tag, name) for tag, names in ATTRIBUTES.items() for name in names}
    | {(tag, f"class={one}") for tag, names in CLASSES.items() for one in names}
    | {(tag, f"{name}={value}") for tag, names in VALUES.items() for name, values in names.items() for value in values}
)


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    return reader


def not_allowed(html: str) -> set[tuple[str, str]]:
    return read(html).found - ALLOWED


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_that_is_written_can_run(kind):
    for text in KINDS[kind]:
        for spelled in (text, f"Hello *there*\n\n{text}\n\n- and {text}", text.upper(), text * 3):
            assert not_allowed(to_html(spelled)) == set()


def test_no_mixture_of_attacks_can_run_either():
    draw = random.Random(7)
    attacks = list(ATTACKS.values())
    glue = ["", "\n", "\n\n", " ", "> ", "- ", "`", "```\n", "**", "|", "[", "](", ")", "<", ">", '"', "'", "&", "\\"]
    for _ in range(600):
        text = "".join(draw.choice(attacks if draw.random() < 0.4 else glue) for _ in range(12))
        assert not_allowed(to_html(text)) == set(), text


def test_what_stands_around_an_attack_is_still_read():
    for number in ATTACKS:
        text = read(to_html(whole(number))).text
        assert text.startswith(f"begin{number}\n")
        assert text.endswith(f"end{number}\n"), number


def test_the_attacks_are_many_and_each_is_there_once():
    assert len(ATTACKS) == len(set(ATTACKS.values())) >= 150


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
        ("*a* **b** ~~c~~ `d`", '<p dir="auto"><em>a</em> <strong>b</strong> <s>c</s> <code>d</code></p>\n'),
        ("# a\n\nb\nc", '<h1 dir="auto">a</h1>\n<p dir="auto">b<br>\nc</p>\n'),
        ("3. a\n4. b", '<ol start="3" dir="auto">\n<li>a</li>\n<li>b</li>\n</ol>\n'),
        ("> a\n\n---", '<blockquote dir="auto">\n<p>a</p>\n</blockquote>\n<hr>\n'),
        ("```\nx < 1\n```", '<pre dir="ltr" tabindex="0"><code>x &lt; 1\n</code></pre>\n'),
        ("", ""),
    ],
)
def test_markdown_is_rendered(text, html):
    assert to_html(text) == html
    assert markdown(text) == to_html(text)


def test_a_table_is_rendered():
    found = {tag for tag, _ in read(to_html("| a | b |\n|---|:-:|\n| 1 | 2 |")).found}
    assert found == {"div", "table", "thead", "tbody", "tr", "th", "td"}


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
    "dollars": lambda n: "$a" * n,
    "formulas": lambda n: "\\(" * n,
    "formulas that stand alone": lambda n: "$$ a\n" * n,
    "fences": lambda n: "```py\nx\n```\n" * (n // 4),
    "one long line": lambda n: "a" * n * 10,
}


@pytest.mark.parametrize("make", NASTY.values(), ids=NASTY)
def test_no_text_makes_the_page_slow(make):
    started = time.process_time()
    to_html(make(5_000))
    assert time.process_time() - started < 3


# Code


def test_code_in_a_language_we_know_is_coloured_and_reads_the_same():
    code = "def f(x):  # why\n    return 'a' + str(1)\n"
    html = to_html(f"```python\n{code}```")
    assert read(html).text == code + "\n"
    assert '<span class="code-keyword">def</span> <span class="code-name">f</span>(x):' in html
    assert '<span class="code-comment"># why</span>' in html
    assert """<span class="code-string">'a'</span>""" in html


def test_code_in_another_language_or_none_is_plain():
    for language in ("", "klingon", "python3000"):
        assert "<span" not in to_html(f"```{language}\nif x: 1\n```")


BITS = [
    *('"', "'", "`", "\\", "/*", "<!--", "#", "//", "--", '"""', "\\'", '\\"', '"a":', "a(", "a: ", "- a\n", " ", "1."),
    *("<a ", "@x", "$y", "+ b\n", "% c\n", "d = 'e'\n"),
]


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_no_colour_changes_the_code(language):
    draw = random.Random(language)
    for _ in range(20):
        code = "".join(draw.choice(BITS) for _ in range(30))
        assert read(highlight(code, language)).text == code


@pytest.mark.parametrize(
    "language", ["c", "js", "rust", "py", "rb", "sh", "sql", "lua", "yaml", "css", "json", "html", "tex"]
)
def test_no_code_makes_the_colours_slow(language):
    started = time.process_time()
    for bit in BITS:
        highlight(bit * 5_000, language)
    assert time.process_time() - started < 5, "a fifth of a second on an idle core; minutes if it were quadratic"


# Formulas


@pytest.mark.parametrize(
    "formula",
    [
        r"\(a_1 * b_2 * c\)",
        r"\[x \\ y_*z*\]",
        "$a_i * b_i * c$",
        "$$a_b*c*d$$",
        r"$\text{a} \$ b$",
        "$$\n\\int_0^1 x\n- y\n= z\n* w\n$$",
        "\\[\n# a\n\n| b |\n\\]",
    ],
)
def test_a_formula_stays_as_it_was_written(formula):
    page = read(to_html(f"Here:\n{formula}\n\nso" if "\n" in formula else f"Here: {formula} so"))
    assert formula in page.text
    assert not {"em", "h1", "ul", "hr", "td"} & {tag for tag, _ in page.found}


@pytest.mark.parametrize(
    "text", ["$5 and *this* $10", "US$ 3, *that* C$ 4", "$5–$10, *or*", "$ *a* $", r"\(*a*", "*a* $$"]
)
def test_prices_are_no_formulas(text):
    html = to_html(text)
    assert "<em>" in html
    assert "formula" not in html


# Directions and languages


def test_each_block_finds_its_own_direction_and_code_runs_from_the_left():
    html = to_html("مرحبا\n\nHello\n\n- شاي\n\n```\nx\n```")
    assert html.count('<p dir="auto">') == 2
    assert '<ul dir="auto">\n<li>' in html, "a list with a direction in its items would not see their letters"
    assert '<pre dir="ltr"' in html


@pytest.mark.parametrize(
    ("text", "said", "language"),
    [
        ("x", "pt-BR", "pt-BR"),
        ("お茶", "", "ja"),
        ("녹차", "", "ko"),
        ("绿茶", "", "zh"),
        ("お茶", "x y", "ja"),
        ("a", '"><', ""),
    ],
)
def test_a_text_tells_its_language_if_nobody_did(text, said, language):
    assert language_of(text, said) == language


# Long texts


def test_a_short_text_is_not_folded():
    assert folded("Hello *there*") == (to_html("Hello *there*"), "")
    assert "<details" not in markdown("a " * 2_900)


def test_a_long_text_is_folded_between_two_blocks_and_loses_nothing():
    text = "\n\n".join(f"Paragraph {number}: " + "word " * 60 for number in range(40))
    first, rest = folded(text)
    assert read(first).text + read(rest).text == read(to_html(text)).text
    assert 1_000 < len(read(first).text) <= 4_000
    assert rest.startswith("<p")
    assert f"Show all {len(text):,} characters" in markdown(text)
    assert markdown(text, "whole") == to_html(text)


@pytest.mark.parametrize(
    "text", ["word " * 3_000, "x" * 12_000, "line\n" * 3_000, "```py\n" + "a = 1\n" * 2_000 + "```"]
)
def test_one_block_that_is_too_long_is_cut_within(text):
    first, rest = folded(text)
    words = "".join((read(first).text + read(rest).text).split())
    assert words == "".join(text.replace("```py", "").replace("```", "").split())
    assert len(read(first).text) <= 4_100
    assert ("<pre" in rest) == text.startswith("```")


def test_a_long_text_is_as_safe_in_both_parts():
    for text in ("<script>alert(1)</script>\n\n" * 400, "```js\n" + "</pre><script>\n" * 800):
        for part in folded(text):
            assert part
            assert not_allowed(part) == set()


# Colours


def contrast(one: str, other: str) -> float:
    """WCAG 2.2: (L1 + 0.05) / (L2 + 0.05) of the relative luminances; black on white is 21."""

    def luminance(colour: str) -> float:
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_the_contrast_is_computed_as_published():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.005)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_the_colours_of_code_can_be_read_in_both_schemes(scheme):
    css = (
        (Path(__file__).parents[2] / "static" / "css" / "tokens.css").read_text().split("prefers-color-scheme")[scheme]
    )
    tokens = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", css))
    for name in ("code-keyword", "code-string", "code-number", "code-name", "ink-soft", "bad", "ink"):
        for ground in ("sunken", "surface"):
            assert contrast(tokens[name], tokens[ground]) >= 4.5, (name, ground)
