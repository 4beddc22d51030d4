r"""LaTeX stays as it was written: a plugin for markdown-it that takes formulas out of Markdown's hands.

Formulas stand in \( \), \[ \], $$ $$ or $ $. A single dollar opens one only as pandoc has it (no space after it, none
before the closing one, and no digit after that), so that prices are no formulas. Imports no Django.
"""

import re

from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.renderer import RendererHTML
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

LONGEST = 2_000  # characters of a formula within a line
LINES = 200  # of a formula that stands alone
CLOSING = {"\\(": "\\)", "\\[": "\\]", "$$": "$$"}
DOLLARS = re.compile(r"\$(?![\s$])(?:[^$\\\n]|\\.){1,500}(?<!\s)\$(?!\d)")


def formulas(md: MarkdownIt) -> None:
    md.inline.ruler.before("escape", "formula", _inline)
    interrupts = {"alt": ["paragraph", "reference", "blockquote", "list"]}
    md.block.ruler.before("fence", "formula_block", _block, interrupts)  # type: ignore[arg-type]  # what it takes
    md.add_render_rule("formula", _span)
    md.add_render_rule("formula_block", _paragraph)


def _inline(state: StateInline, silent: bool) -> bool:
    end = _end(state.src, state.pos, state.posMax)
    if not end:
        return False
    if not silent:
        state.push("formula", "span", 0).content = state.src[state.pos : end]
    state.pos = end
    return True


def _end(text: str, start: int, last: int) -> int:
    """Where a formula that opens here ends; 0 if none opens here, or it does not end."""
    if text[start] not in "\\$":
        return 0
    closing = CLOSING.get(text[start : start + 2])
    if closing:
        end = text.find(closing, start + 2, min(last, start + LONGEST))
        return end + 2 if end > start + 2 else 0
    found = DOLLARS.match(text, start, last)
    return found.end() if found else 0


def _block(state: StateBlock, first: int, last: int, silent: bool) -> bool:
    if state.is_code_block(first):
        return False
    start = state.bMarks[first] + state.tShift[first]
    opening = state.src[start : start + 2]
    closing = CLOSING.get(opening)
    if closing is None or opening == "\\(":
        return False
    for line in range(first, min(last, first + LINES)):
        if line > first and state.sCount[line] < state.blkIndent:
            return False
        text = state.src[start + 2 if line == first else state.bMarks[line] : state.eMarks[line]].rstrip()
        if closing not in text:
            continue
        if not text.endswith(closing):
            return False  # the sentence goes on after it: a formula within a line
        if not silent:
            state.push("formula_block", "p", 0).content = state.getLines(first, line + 1, state.blkIndent, False)
            state.tokens[-1].map = [first, line + 1]
            state.line = line + 1
        return True
    return False


def _span(self: RendererHTML, tokens: list[Token], place: int, options: object, env: object) -> str:
    return f'<span class="formula" dir="ltr">{escapeHtml(tokens[place].content)}</span>'


def _paragraph(self: RendererHTML, tokens: list[Token], place: int, options: object, env: object) -> str:
    return f'<p class="formula" dir="ltr">{escapeHtml(tokens[place].content.strip())}</p>\n'
