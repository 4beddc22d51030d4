"""What is wrong with a text at a glance: leftovers, personal data, keys, repetition, boilerplate, broken letters.

`findings` serves people as they type and whole data sets alike, so it is linear in the text whatever the text is:
every pattern is bounded and cannot start in the middle of what it would match. It would rather miss something than
cry wolf: prices, dates, order numbers, and what stands in code are left alone. Imports no Django.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from annotation.repetition import repetitions, short


@dataclass(frozen=True, order=True)
class Finding:
    """`text[start:end]` is of this `kind`; `sentence` says it to a person. Places count Unicode characters."""

    start: int
    end: int
    kind: str
    sentence: str


PLACEHOLDER = "placeholder"
PERSONAL = "personal data"
SECRET = "secret"  # noqa: S105  the name of a kind
REPETITION = "repetition"
BOILERPLATE = "boilerplate"
ENCODING = "encoding"
KINDS = (SECRET, PERSONAL, PLACEHOLDER, ENCODING, BOILERPLATE, REPETITION)  # of two on one place, the first is told

Found = Iterator[tuple[int, int, str]]


def findings(text: str) -> list[Finding]:
    """All that the checks find, in the order of the text; no two overlap.

    >>> [(one.kind, "Dear [NAME], call +44 20 7946 0958."[one.start:one.end])
    ...  for one in findings("Dear [NAME], call +44 20 7946 0958.")]
    [('placeholder', '[NAME]'), ('personal data', '+44 20 7946 0958')]
    """
    prose = without_code(text)
    checks: dict[str, Callable[[], Found]] = {
        SECRET: lambda: _secrets(text),
        PERSONAL: lambda: _personal(text),
        PLACEHOLDER: lambda: _placeholders(prose),
        ENCODING: lambda: _broken_letters(text, prose),
        BOILERPLATE: lambda: _boilerplate(prose),
        REPETITION: lambda: repetitions(prose),
    }
    taken = bytearray(len(text) + 1)
    found = []
    for kind in KINDS:
        for start, end, sentence in checks[kind]():
            if not any(taken[start:end]):
                taken[start:end] = b"\1" * (end - start)
                found.append(Finding(start, end, kind, sentence))
    return sorted(found)


# Code and formulas are no prose: in them [name] is an index, and {{x}} may be what is meant.

FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})", re.M)
INLINE = re.compile(
    r"(?<!`)(`{1,2})(?!`)[^`\n]{1,400}\1(?!`)"
    r"|\\\((?:[^\\\n]|\\(?![()])){1,1000}\\\)|\$[^\s$][^$\n]{0,400}(?<=[^\s])\$(?!\w)"
)


def without_code(text: str) -> str:
    """The text with code and formulas blanked out, so that every place stays where it was.

    >>> without_code("Set `[NAME]` now")
    'Set          now'
    """
    parts = []
    place = 0
    while opening := FENCE.search(text, place):
        fence = opening[1]
        closing = re.compile(rf"^ {{0,3}}{fence[0]}{{{len(fence)},}}[ \t]*$", re.M).search(text, opening.end())
        end = closing.end() if closing else len(text)
        parts += [text[place : opening.start()], _blank(text[opening.start() : end])]
        place = end
    parts.append(text[place:])
    return INLINE.sub(lambda code: _blank(code[0]), "".join(parts))


def _blank(text: str) -> str:
    return re.sub(r"[^\n]", " ", text)


# Leftovers

FILL_IN = (
    r"(?:name|date|time|day|month|year|e-?mail|phone|telephone|number|address|city|country|company|business|shop|"
    r"store|customer|client|user|username|recipient|agent|order|product|item|price|amount|link|url|website|title|"
    r"topic|subject|position|department|placeholder|details|signature|insert|enter|your|my)(?:'s|’s|s)?"
)
BRACKETS = re.compile(r"(?<![\w\])!\\])(?<!= )\[([^\[\]\n]{2,60})\](?![(\[:\w])")
ANGLES = re.compile(r"(?<![\w<])<([A-Za-z][A-Za-z0-9_' -]{2,60})>")
BRACES = re.compile(r"(?<![\w}\\$]){([A-Za-z][A-Za-z0-9_ ]{1,60})}(?!})")
FIRST_OR_LAST = re.compile(rf"{FILL_IN}(?:[ _-].*)?|.*[ _-]{FILL_IN}", re.I)
CAPITALS = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+")
EDITORS = re.compile(r"(?:the|an?|this|that|these|those|his|her|its|their)\b", re.I)  # “[the customer] said”
HTML = {"address", "link", "time", "title", "details", "data"}
LEFTOVERS = re.compile(
    r"\{\{[^{}\n]{1,80}\}\}|\{%[^{}\n]{1,80}%\}"
    r"|\blorem ipsum\b"
    r"|\binsert (?:[^\s.]{1,30} ){1,6}?here\b|\b(?:text|answer|content|name) goes here\b"
    r"|(?:(?<=@)|(?<=//)|\bwww\.)example\.(?:com|org|net)\b",
    re.I,
)
CROSSES = re.compile(r"\bX{3,}\b|\bx{3,}(?:[- ]x{2,})+\b|\b(?:TODO|FIXME|TBD|TBC)\b")
ROMAN = re.compile(r"\b(?:bowl|chapter|part|volume|vol\.|act|book|psalm|section|article|canto|size)\s$", re.I)


def _placeholders(text: str) -> Found:
    said = "“{}” looks like a place that nobody has filled in."
    for bracketed in BRACKETS.finditer(text):
        if _to_fill_in(bracketed[1]) or CAPITALS.fullmatch(bracketed[1]):
            yield *bracketed.span(), said.format(bracketed[0])
    for angled in ANGLES.finditer(text):
        word = angled[1]
        spoken = " " in word or (word.isupper() and word.lower() not in HTML)
        if CAPITALS.fullmatch(word) or (spoken and _to_fill_in(word)):
            yield *angled.span(), said.format(angled[0])
    for braced in BRACES.finditer(text):
        if _to_fill_in(braced[1]):
            yield *braced.span(), said.format(braced[0])
    for leftover in LEFTOVERS.finditer(text):
        yield *leftover.span(), f"“{short(leftover[0])}” looks like the rest of a template."
    for crosses in CROSSES.finditer(text):
        if not ROMAN.search(text, max(0, crosses.start() - 12), crosses.start()):
            yield *crosses.span(), said.format(short(crosses[0]))


def _to_fill_in(words: str) -> bool:
    few = len(re.split(r"[ _-]+", words)) <= 6
    return few and FIRST_OR_LAST.fullmatch(words) is not None and not EDITORS.match(words)


# Personal data

EMAIL = re.compile(
    r"(?<![\w.+%-])[A-Za-z0-9][\w.+%-]{0,63}@(?:[A-Za-z0-9][A-Za-z0-9-]{0,62}\.){1,6}([A-Za-z]{2,24})(?![\w@-])", re.A
)
FILES = {"png", "jpg", "jpeg", "gif", "svg", "webp", "css", "js", "ts", "py", "json", "html"}
PHONE = re.compile(
    r"(?<![\w+.,/-])(?<!\d )(?:"
    r"\+\d{1,3}(?:[ .-]?\(\d{1,4}\))?(?:[ ./-]?\d{1,5}){2,6}"  # +44 (20) 7946 0958
    r"|(?:\(\d{3}\) ?|\d{3}[-.])\d{3}[-. ]\d{4}"  # (555) 010-0199
    r"|\(0\d{1,4}\)[ /-]?\d{3,4}[ -]?\d{3,4}"  # (020) 7946 0958
    r"|0\d{1,4}[ /-]\d{3,4}(?:[ -]?\d{3,4}){1,2}"  # 020 7946 0958, 0151/2345678
    r")(?![\w%€$£]|[.,-]\d)"
)
CARD = re.compile(
    r"(?<![\w.,+-])(?:\d{4}([ -])\d{4}\1\d{4}\1\d{4}(?:\1\d{3})?|\d{4}([ -])\d{6}\2\d{4,5}|\d{13,19})(?![\w-])"
)
ISSUED = re.compile(  # which networks give numbers of which length
    r"4(?:\d{12}|\d{15}|\d{18})|(?:5[1-5]|2[2-7])\d{14}|3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{11}"
    r"|6(?:011|5\d\d|4[4-9]\d)\d{12}|62\d{14,17}|35(?:2[89]|[3-8]\d)\d{12}"
)
IBAN = re.compile(r"(?<!\w)([A-Z]{2})\d{2}(?=[ A-Z0-9])", re.A)
IBAN_LENGTHS = {  # ISO 13616 registry: the countries whose banks use them most
    **{"AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "CH": 21},
    **{"CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FO": 18},
    **{"FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IS": 26},
    **{"IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "MC": 27, "MD": 24},
    **{"ME": 22, "MK": 19, "MT": 31, "NL": 18, "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24},
    **{"RS": 22, "SA": 24, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "TN": 24, "TR": 26, "UA": 29, "XK": 20},
}
NO_PERSON = re.compile(  # what stands before a number that is no telephone's and no card's
    r"(?:\b(?:order|invoice|reference|ref|isbn|issn|ean|sku|item|article|tracking|parcel|serial|model|part|case|ticket|"
    r"version|doi|id)s?(?:\W{0,2}(?:code|no|nr|number|numbers|id))?|#|№)\W{0,3}(?:is\W)?$",
    re.I,
)
CONTEXT = 32


def _personal(text: str) -> Found:
    for email in EMAIL.finditer(text):
        made_up = re.search(r"[@.]example\.\w+$", email[0])
        if email[1].lower() not in FILES and not email[0].startswith("git@") and not made_up:
            yield *email.span(), f"“{short(email[0])}” is an e-mail address."
    for opening in IBAN.finditer(text):
        length = IBAN_LENGTHS.get(opening[1])
        if length and (rest := _iban(length).match(text, opening.start())) and _mod97(rest[0]):
            yield *rest.span(), f"“{short(rest[0])}” is the number of a bank account."
    for card in CARD.finditer(text):
        digits = re.sub(r"\D", "", card[0])
        if ISSUED.fullmatch(digits) and _luhn(digits) and not _is_no_person(text, card.start()):
            yield *card.span(), f"“{short(card[0])}” is the number of a payment card."
    for phone in PHONE.finditer(text):
        if 8 <= sum(map(str.isdigit, phone[0])) <= 15 and not _is_no_person(text, phone.start()):
            yield *phone.span(), f"“{short(phone[0])}” looks like a telephone number."


def _is_no_person(text: str, place: int) -> bool:
    return NO_PERSON.search(text[max(0, place - CONTEXT) : place]) is not None


def _iban(length: int) -> re.Pattern[str]:
    return re.compile(rf"[A-Z]{{2}}\d\d(?: ?[A-Z0-9]){{{length - 4}}}(?![A-Za-z0-9])", re.A)


def _mod97(iban: str) -> bool:
    """ISO 13616: the first four go to the end, letters count from A = 10, and the rest by 97 is 1.

    >>> _mod97("GB82 WEST 1234 5698 7654 32"), _mod97("GB82 WEST 1234 5698 7654 33")
    (True, False)
    """
    plain = iban.replace(" ", "")
    return int("".join(str(int(letter, 36)) for letter in plain[4:] + plain[:4])) % 97 == 1


def _luhn(digits: str) -> bool:
    """ISO/IEC 7812: every second digit from the right is doubled, and the digits of all add up to tens.

    >>> _luhn("79927398713"), _luhn("79927398714")
    (True, False)
    """
    doubled = [int(digit) * 2 for digit in digits[-2::-2]]
    return (sum(map(int, digits[-1::-2])) + sum(n - 9 if n > 9 else n for n in doubled)) % 10 == 0


# Keys and tokens

KEYS = re.compile(
    r"(?<![\w-])(?:"
    r"(?P<sk>sk-[A-Za-z0-9_-]{20,300}+)|[sr]k_(?:live|test)_[A-Za-z0-9]{16,200}+"
    r"|gh[opsur]_[A-Za-z0-9]{30,255}+|github_pat_[A-Za-z0-9_]{30,255}+|glpat-[A-Za-z0-9_-]{20,100}+"
    r"|A(?:KI|SI)A[A-Z0-9]{16}(?![A-Za-z0-9])|AIza[A-Za-z0-9_-]{35}(?![\w-])|hf_[A-Za-z0-9]{30,100}+"
    r"|xox[abeoprs]-[A-Za-z0-9-]{12,200}+|npm_[A-Za-z0-9]{36}(?!\w)|pypi-[A-Za-z0-9_-]{50,300}+"
    r"|eyJ[A-Za-z0-9_-]{8,4000}+\.eyJ[A-Za-z0-9_-]{8,4000}+\.[A-Za-z0-9_-]{8,1000}+"
    r")|-----BEGIN (?:[A-Z]{1,12} ){0,3}PRIVATE KEY-----",
    re.A,
)


def _secrets(text: str) -> Found:
    for key in KEYS.finditer(text):
        if not key["sk"] or sum(map(str.isdigit, key["sk"])) >= 2:  # sk-circle-… is a name in a style sheet
            yield *key.span(), f"“{key[0][:8]}…” is a key or a token: it must not be learnt."


# What assistants say about themselves

MODEL = r"(?:(?:large |helpful )?(?:AI |artificial intelligence )?language model|AI (?:model|assistant|chatbot|system))"
SAYINGS = re.compile(
    rf"\bas an? {MODEL}\b|\bas an (?:AI|artificial intelligence)(?= ?,| I\b| my\b)"
    rf"|\bI(?: a|['’])m (?:just |only |merely )?an? (?:{MODEL}|AI)(?= ?[,.;:!?]| and | so |$)"
    r"|\bI (?:do not|don['’]t|cannot|can['’]t) (?:have|hold|form) (?:personal )?"
    r"(?:feelings|opinions|emotions|beliefs|experiences) (?:as|because|since) I\b"
    r"|\bmy (?:knowledge|training)(?: data)? (?:cut-?off|ends in|only goes)\b"
    r"|\bas of my (?:last|latest) (?:knowledge )?update\b"
    r"|\bals (?:ein )?(?:KI-|großes )?Sprachmodell\b|\bals KI(?= ?,| kann ich| habe ich)"
    r"|\ben tant qu(?:e |['’]un )(?:grand )?(?:modèle (?:de langage|linguistique)|IA\b|intelligence artificielle)"
    r"|\bcomo (?:un )?(?:gran )?modelo de lengua(?:je)?\b|\bcomo (?:una )?(?:IA|inteligencia artificial)(?= ?,| no )",
    re.I | re.M,
)


def _boilerplate(text: str) -> Found:
    for saying in SAYINGS.finditer(text):
        yield *saying.span(), f"“{short(saying[0])}”: the assistant speaks about itself instead of the question."


# Letters that went wrong between two encodings

# What the bytes 80 to BF of UTF-8 look like when they are read as Windows-1252; first those that nobody types after a
# letter, then those with the punctuation that people do.
RARE = "\x80-\xbfƒŠŒŽšœžŸˆ‰†‡˜"
ANY = RARE + "€‚„…‹‘’“”•–—™›"
MOJIBAKE = re.compile(
    rf"(?:Â[\xa0-\xbf]|Ã[{RARE}])+"  # © and é
    rf"|â€[{ANY}]|ï»¿|ðŸ[{ANY}]{{2}}"  # quotation marks, a byte order mark, pictures
    rf"|(?:[\xc2-\xdf][{ANY}]){{3,200}}|(?:[\xe0-\xef][{ANY}]{{2}}){{2,200}}"  # other scripts: several letters in a row
)
LOST = re.compile("\ufffd+")
ESCAPED = re.compile(r"(?:\\u[0-9a-fA-F]{4}){1,100}")


def _broken_letters(text: str, prose: str) -> Found:
    for broken in MOJIBAKE.finditer(text):
        if meant := _repaired(broken[0]):
            yield *broken.span(), f"“{short(broken[0])}” was “{short(meant)}” before its encoding was mistaken."
    for lost in LOST.finditer(text):
        yield *lost.span(), "Letters were lost here when the text was read in a wrong encoding."
    for escaped in ESCAPED.finditer(prose):
        yield *escaped.span(), f"“{short(escaped[0])}” is the code of a letter, not the letter."


def _repaired(broken: str) -> str:
    """What a text read as Windows-1252 was in UTF-8; empty if it never was.

    >>> _repaired("Ã©"), _repaired("É’")
    ('é', 'ɒ')
    """
    data = b"".join(letter.encode("latin-1" if letter < "\u0100" else "cp1252") for letter in broken)
    return data.decode("utf-8", "ignore")
