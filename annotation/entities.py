"""Names of people in a text, if `presidio-analyzer` and its model are installed. Imports no Django.

Presidio would fetch a model that is missing; so without it, nothing is asked. Its patterns for numbers are left to
annotation/checks.py, which know more of them.
"""

from functools import cache
from typing import Any

from annotation.checks import PERSONAL, Finding, short

MODEL = "en_core_web_lg"  # what presidio reads English with
SURE = 0.8


@cache
def analyzer() -> Any:
    """Presidio's engine, or None where it is not installed."""
    try:
        import spacy.util
        from presidio_analyzer import AnalyzerEngine
    except ImportError:
        return None
    return AnalyzerEngine() if spacy.util.is_package(MODEL) else None


def names_in(text: str) -> list[Finding]:
    engine = analyzer()
    if engine is None:
        return []
    found = engine.analyze(text=text, language="en", entities=["PERSON"], score_threshold=SURE)
    return [
        Finding(one.start, one.end, PERSONAL, f"“{short(text[one.start : one.end])}” looks like a person's name.")
        for one in sorted(found, key=lambda one: one.start)
    ]
