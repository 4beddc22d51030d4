"""Which language a text is written in, where that can be told. Imports no Django."""

from functools import cache
from typing import Any

from annotation.checks import without_code

SURE = 0.9
READ = 1_500  # characters of a long text: more tell no more
SHORTEST = 20  # characters, of which most are letters
# What is spelled so alike that a sentence or two do not tell it apart, or that people call by one name.
RELATIVES = [
    *({"no", "nb", "nn", "da", "sv"}, {"hr", "sr", "bs", "sh", "sl"}, {"id", "ms"}, {"cs", "sk"}),
    *({"zh", "wuu", "yue", "lzh"}, {"es", "gl", "ast", "ext", "ca"}, {"pt", "gl"}, {"en", "pcm", "sco"}),
    *({"nl", "af", "fy", "li", "vls"}, {"de", "lb", "nds", "bar", "gsw", "als"}, {"ru", "uk", "be", "bg"}),
    *({"hi", "mr", "ne"}, {"ar", "fa", "ur", "arz"}, {"fr", "wa", "oc"}, {"it", "scn", "vec", "lmo"}),
]
CODES = {  # of three letters, by those of two; what people write into data
    **{"eng": "en", "deu": "de", "ger": "de", "fra": "fr", "fre": "fr", "spa": "es", "ita": "it", "por": "pt"},
    **{"nld": "nl", "dut": "nl", "rus": "ru", "jpn": "ja", "zho": "zh", "chi": "zh", "kor": "ko", "pol": "pl"},
    **{"ukr": "uk", "tur": "tr", "ara": "ar", "hin": "hi", "swe": "sv", "dan": "da", "nor": "no", "fin": "fi"},
}
NAMES = {
    **{"english": "en", "german": "de", "french": "fr", "spanish": "es", "italian": "it", "portuguese": "pt"},
    **{"dutch": "nl", "russian": "ru", "japanese": "ja", "chinese": "zh", "korean": "ko", "polish": "pl"},
    **{"ukrainian": "uk", "turkish": "tr", "arabic": "ar", "hindi": "hi", "swedish": "sv", "danish": "da"},
}


@cache
def _identifier() -> Any:
    """Its model is a part of the package, and takes seconds to unfold."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def language_of(text: str) -> tuple[str, float]:
    """The code of the language and how sure that is; empty where nobody should rely on it.

    Code, numbers and a word or two are in no language.
    """
    prose = " ".join(without_code(text[: 2 * READ]).split())[:READ]
    letters = sum(map(str.isalpha, prose))
    dense = any(letter > "\u2e80" for letter in prose)  # a sign of Chinese or Japanese says as much as a word
    if letters < (SHORTEST // 3 if dense else SHORTEST) or letters < len(prose) / 2:
        return "", 0.0
    code, sure = _identifier().classify(prose)
    return (str(code), float(sure)) if sure >= SURE else ("", float(sure))


def short(language: str) -> str:
    """The two letters of a language, however people write it; empty if nobody knows it.

    >>> short("en-GB"), short("deu"), short("German"), short("House style")
    ('en', 'de', 'de', '')
    """
    name = language.strip().lower()
    code = name.replace("_", "-").split("-")[0]
    found = NAMES.get(name) or CODES.get(code) or code
    return found if len(found) in (2, 3) and found.isalpha() else ""


def differ(one: str, other: str) -> bool:
    """Whether these are certainly two languages.

    >>> differ("en", "de"), differ("en-GB", "eng"), differ("no", "da"), differ("", "de")
    (True, False, False, False)
    """
    first, second = short(one), short(other)
    known = bool(first and second)
    return known and first != second and not any({first, second} <= family for family in RELATIVES)
