"""Showing what people and models wrote: Markdown as HTML that cannot run, and long texts folded. Imports no Django."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.token import Token

from annotation import highlighting
from annotation.formulas import formulas

# What may appear on a page. Links and pictures are left out of answers on purpose: an annotator judges text, and a
# picture's address would be fetched from the reader's browser.
BLOCKS = {"p", "blockquote", "ul", "ol", "li", "h1", "h2", "h3", "h4", "h5", "h6", "table", "th", "td"}
TAGS = BLOCKS | {"br", "hr", "em", "strong", "s", "code", "pre", "thead", "tbody", "tr", "span", "div"}
ATTRIBUTES = {"ol": {"start"}}
CLASSES = {"span": highlighting.CLASSES | {"formula"}, "p": {"formula"}, "div": {"table"}}
VALUES = {  # of the attributes that may have these alone
    **{tag: {"dir": {"auto", "ltr"}} for tag in BLOCKS | {"span"}},
    "pre": {"dir": {"ltr"}, "tabindex": {"0"}},
    "div": {"tabindex": {"0"}, "role": {"group"}, "aria-label": {"Table"}},
}

LONG = 6_000  # characters from which an answer is folded
SHOWN = 4_000  # characters of it that are shown at most, and
LEAST = 1_000  # at least
COLOURED = 100_000  # characters of code in one text


@lru_cache(maxsize=1)
def _markdown() -> MarkdownIt:
    md = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable(["table", "strikethrough"]).use(formulas)
    md.core.ruler.push("direction", _direct)
    for name, rule in (("fence", _code), ("code_block", _code), ("table_open", _table), ("table_close", _table_end)):
        md.add_render_rule(name, rule)
    return md


def _direct(state: StateCore) -> None:
    """Each block runs in the direction of its first letter; what is in it does too, as the marks of a list."""
    for token in state.tokens:
        if token.level == 0 and token.nesting == 1 and token.tag in BLOCKS:
            token.attrSet("dir", "auto")


def _code(self: RendererHTML, tokens: Sequence[Token], place: int, options: Any, env: Any) -> str:
    token = tokens[place]
    env["coloured"] = env.get("coloured", 0) + len(token.content)
    language = token.info.split(maxsplit=1)[0] if token.info.strip() else ""
    code = highlighting.highlight(token.content, language if env["coloured"] <= COLOURED else "")
    return f'<pre dir="ltr" tabindex="0"><code>{code}</code></pre>\n'


def _table(self: RendererHTML, tokens: Sequence[Token], place: int, options: Any, env: Any) -> str:
    """It scrolls within itself, and so the keyboard must reach it."""
    return '<div class="table" tabindex="0" role="group" aria-label="Table">\n<table dir="auto">\n'


def _table_end(self: RendererHTML, tokens: Sequence[Token], place: int, options: Any, env: Any) -> str:
    return "</table>\n</div>\n"


def _clean(html: str) -> str:
    return nh3.clean(
        html,
        tags=TAGS,
        attributes=ATTRIBUTES,
        allowed_classes=CLASSES,
        tag_attribute_values=VALUES,
        link_rel=None,
    )


@lru_cache(maxsize=4096)
def to_html(text: str) -> str:
    """Render Markdown and sanitise the result; markup in `text` itself is shown as text.

    >>> to_html("*hello* <script>alert(1)</script>")
    '<p dir="auto"><em>hello</em> &lt;script&gt;alert(1)&lt;/script&gt;</p>\\n'
    """
    return _clean(_markdown().render(text))


@lru_cache(maxsize=1024)
def folded(text: str) -> tuple[str, str]:
    """A long text as the HTML of its beginning and of the rest; the rest of a short one is empty."""
    if len(text) <= LONG:
        return to_html(text), ""
    text = text.replace("\r\n", "\n")
    md = _markdown()
    env: dict[str, Any] = {}
    tokens = md.parse(text, env)
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    cuts = [
        place
        for place, token in enumerate(tokens)
        if token.level == 0 and token.nesting >= 0 and token.map and LEAST <= starts[token.map[0]] <= SHOWN
    ]
    if not cuts:
        return _cut_within(text, tokens, starts)
    parts = (tokens[: cuts[-1]], tokens[cuts[-1] :])
    first, rest = (_clean(md.renderer.render(part, md.options, env)) for part in parts)
    return first, rest


def _cut_within(text: str, tokens: Sequence[Token], starts: Sequence[int]) -> tuple[str, str]:
    """Cut a block that is too long itself, at the end of a line or else of a word; code goes on as code."""
    place = max(text.rfind("\n", LEAST, SHOWN), 0) or max(text.rfind(" ", LEAST, SHOWN), 0) or SHOWN
    first, rest = text[:place], text[place:]
    for token in tokens:
        if token.type == "fence" and token.map and starts[token.map[0]] < place < starts[token.map[1]]:
            first += f"\n{token.markup}"
            rest = f"{token.markup}{token.info}\n{rest.lstrip(chr(10))}"
    return to_html(first), to_html(rest)


# Languages, for the choice of letters and the breaking of lines

TAG = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,3}", re.A)
SCRIPTS = (
    ("ja", re.compile(r"[\u3040-\u30ff]")),
    ("ko", re.compile(r"[\uac00-\ud7af]")),
    ("zh", re.compile(r"[\u4e00-\u9fff]")),
)


def language_of(text: str, said: str = "") -> str:
    """The language of a text, as HTML names it: what was said of it, or else what its letters tell; may be empty.

    >>> language_of("Hello", "en"), language_of("Hello"), language_of("お茶"), language_of("绿茶", "no tag!")
    ('en', '', 'ja', 'zh')
    """
    if TAG.fullmatch(said):
        return said
    return next((language for language, letters in SCRIPTS if letters.search(text[:2000])), "")
