"""Colours for code. A block that names a language we know becomes spans of a few kinds. Imports no Django.

One expression for each family of languages: comments, strings, numbers and words, and every alternative takes what it
has seen, so the time is linear in the code whatever the code is. A text on a page comes from a model, and the lexers
of a full highlighter take quadratic time on some of it, or do not come back (docs/decisions.md).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

KINDS = ("comment", "keyword", "string", "number", "name", "added", "removed")
CLASSES = {f"code-{kind}" for kind in KINDS}

HASH = r"#[^\n]*+"
SLASHES = r"//[^\n]*+|/\*(?:[^*]|\*(?!/))*+(?:\*/|\Z)"
DASHES = r"--[^\n]*+"
DOUBLE = r'"(?:[^"\\\n]|\\.)*+"?'
SINGLE = r"'(?:[^'\\\n]|\\.){0,200}+'"  # bounded, since an apostrophe may stand alone
TICKS = r"`(?:[^`\\]|\\.)*+(?:`|\Z)"
TRIPLE = r'"""(?:[^"\\]|\\.|"(?!""))*+(?:"""|\Z)|' + r"'''(?:[^'\\]|\\.|'(?!''))*+(?:'''|\Z)"
WORD = r"[^\W\d][\w$]*+"
NUMBER = r"(?<![\w.])\d[\w.]*+"

C = "break case continue default do else enum for goto if return sizeof static struct switch typedef union while const"
OBJECTS = "abstract class extends final implements import interface new override package private protected public super"
MORE = "async await catch finally instanceof namespace operator this throw throws try using virtual yield"
TYPES = "bool boolean byte char double float int long short string unsigned var void"
SCRIPT = "as const debugger delete export from function in let of type typeof var void with readonly declare keyof"
PYTHON = (
    "and as assert async await break class continue def del elif else except finally for from global if import in is "
    "lambda match nonlocal not or pass raise return try while with yield"
)
SHELL = "case do done elif else esac export fi for function if in local return set then until while"
RUST = (
    "as async await break const continue crate dyn else enum extern fn for if impl in let loop match mod move mut pub"
)
GO = "chan defer fallthrough func go import interface map package range select type var"
SQL = (
    "add all alter and as asc begin between by case check column commit constraint create cross default delete desc "
    "distinct drop else end except exists explain foreign from full group having if in index inner insert intersect "
    "into is join key left like limit not on or order outer over partition primary references returning right rollback "
    "select set table then union unique update using values view when where with"
)
RUBY = (
    "begin class def do else elsif end ensure for if in module next redo require rescue return self then unless until"
)
OTHERS = (
    "data fun guard init let module of open protocol object sealed trait val var when where function local repeat "
    "until end elseif then not and or nil my our sub use foreach echo param process begin"
)
CONSTANTS = {"true", "false", "null", "none", "nil", "undefined", "nan", "inf", "self", "this"}


@dataclass(frozen=True)
class Family:
    pattern: re.Pattern[str]
    keywords: frozenset[str] = frozenset()

    @classmethod
    def of(cls, comment: str, string: str, keywords: Iterable[str] = (), *, more: str = "") -> "Family":
        parts = [f"(?P<comment>{comment})"] if comment else []
        parts += [more] if more else []
        parts += [f"(?P<string>{string})"] if string else []
        pattern = "|".join([*parts, f"(?P<number>{NUMBER})", f"(?P<word>{WORD})"])
        return cls(re.compile(pattern, re.M | re.S), frozenset(word for line in keywords for word in line.split()))


CODE = f"{DOUBLE}|{SINGLE}"
C_LIKE = Family.of(SLASHES, f"{CODE}|{TICKS}", [C, OBJECTS, MORE, TYPES], more=r"(?P<keyword>^[ \t]*+#[a-z]++)")
SCRIPTS = Family.of(SLASHES, f"{CODE}|{TICKS}", [C, OBJECTS, MORE, SCRIPT])
SYSTEMS = Family.of(SLASHES, f"{CODE}|{TICKS}", [C, RUST, GO, OTHERS, "use where unsafe self trait super return while"])
PYTHONS = Family.of(HASH, f"{TRIPLE}|{CODE}", [PYTHON], more=r"(?P<name>^[ \t]*+@[\w.]++)")
HASHES = Family.of(HASH, CODE, [SHELL, RUBY, PYTHON, OTHERS])
SHELLS = Family.of(r"(?<![^\s])#[^\n]*+", CODE, [SHELL], more=r"(?P<name>\$\{?\w++\}?)")
QUERIES = Family.of(f"{DASHES}|/\\*(?:[^*]|\\*(?!/))*+(?:\\*/|\\Z)", CODE, [SQL])
DASHED = Family.of(DASHES, CODE, [C, OBJECTS, OTHERS])
KEY = r"(?P<name>^[ \t]*+(?:- )?+[\w.\"'-]++(?=[ \t]*+[:=]))"
SETTINGS = Family.of(r"(?<![^\s])[#;][^\n]*+", CODE, more=KEY + r"|(?P<keyword>^\[[^\n]*+)")
STYLES = Family.of(
    r"/\*(?:[^*]|\*(?!/))*+(?:\*/|\Z)",
    CODE,
    more=r"(?P<keyword>@[\w-]++|[.#][A-Za-z][\w-]*+)|(?P<name>(?<![\w-])[\w-]++(?=:))",
)
DATA = Family.of("", DOUBLE, more=r'(?P<name>"(?:[^"\\\n]|\\.){0,200}+"(?=[ \t]*+:))')
MARKUP = Family.of(
    r"<!--(?:[^-]|-(?!->))*+(?:-->|\Z)",
    CODE,
    more=r"(?P<keyword></?+[A-Za-z][\w:.-]*+|/?+>)|(?P<name>(?<![\w:-])[\w:-]++(?==))",
)
CHANGES = Family.of(
    "", "", more=r"(?P<keyword>^(?:@@|diff |index |---|\+\+\+)[^\n]*+)|(?P<added>^\+[^\n]*+)|(?P<removed>^-[^\n]*+)"
)
TEX = Family.of(r"(?<!\\)%[^\n]*+", "", more=r"(?P<keyword>\\(?:[A-Za-z@]++\*?+|[^A-Za-z]))")

LANGUAGES = {  # by the names that people and models give
    **dict.fromkeys(("c", "h", "cpp", "c++", "cc", "hpp", "java", "csharp", "cs", "c#", "objc", "php", "dart"), C_LIKE),
    **dict.fromkeys(("javascript", "js", "jsx", "mjs", "node", "typescript", "ts", "tsx", "graphql"), SCRIPTS),
    **dict.fromkeys(("rust", "rs", "go", "golang", "swift", "kotlin", "kt", "scala", "zig"), SYSTEMS),
    **dict.fromkeys(("python", "py", "python3", "starlark"), PYTHONS),
    **dict.fromkeys(("ruby", "rb", "r", "julia", "jl", "perl", "pl", "elixir", "ex", "powershell", "ps1"), HASHES),
    **dict.fromkeys(("bash", "sh", "shell", "zsh", "console", "shell-session", "dockerfile", "docker"), SHELLS),
    **dict.fromkeys(("makefile", "make"), SHELLS),
    **dict.fromkeys(("sql", "postgresql", "postgres", "mysql", "sqlite"), QUERIES),
    **dict.fromkeys(("lua", "haskell", "hs"), DASHED),
    **dict.fromkeys(("yaml", "yml", "toml", "ini", "cfg", "conf", "properties", "env"), SETTINGS),
    **dict.fromkeys(("css", "scss", "less"), STYLES),
    **dict.fromkeys(("json", "jsonc", "json5", "jsonl", "ndjson"), DATA),
    **dict.fromkeys(("html", "xml", "svg", "xhtml", "vue", "jinja", "django"), MARKUP),
    **dict.fromkeys(("diff", "patch"), CHANGES),
    **dict.fromkeys(("latex", "tex"), TEX),
}


def highlight(code: str, language: str) -> str:
    """The code as HTML, with its words in spans if we know the language.

    >>> highlight("if x < 1:", "python")
    '<span class="code-keyword">if</span> x &lt; <span class="code-number">1</span>:'
    """
    family = LANGUAGES.get(language.lower())
    if family is None:
        return escape(code)
    parts = []
    done = 0
    for found in family.pattern.finditer(code):
        kind = found.lastgroup
        if kind == "word":
            kind = _kind_of(found[0], family, code[found.end() : found.end() + 1])
        if kind:
            parts += [escape(code[done : found.start()]), f'<span class="code-{kind}">{escape(found[0])}</span>']
            done = found.end()
    parts.append(escape(code[done:]))
    return "".join(parts)


def _kind_of(word: str, family: Family, after: str) -> str:
    lower = word.lower()
    if word in family.keywords or (family is QUERIES and lower in family.keywords):
        return "keyword"
    if lower in CONSTANTS:
        return "number"
    return "name" if after == "(" else ""
