"""Names of people in English texts, if `presidio-analyzer` and a model for it are installed. Imports no Django.

Presidio would fetch a model that is missing; so it is asked only where one is there. Its patterns for numbers are left
to annotation/checks.py, which know more of them.
"""

from functools import cache
from typing import Any

from annotation.checks import PERSONAL, Finding, short

MODELS = ("en_core_web_lg", "en_core_web_md", "en_core_web_sm")  # the first that is there
SURE = 0.8


@cache
def analyzer() -> Any:
    """Presidio's engine, or None where it is not installed."""
    try:
        import spacy.util
        from presidio_analyzer import AnalyzerEngine
        from presidio_analyzer.nlp_engine import NlpEngineProvider
    except ImportError:
        return None
    model = next((name for name in MODELS if spacy.util.is_package(name)), None)
    if model is None:
        return None
    how = {"nlp_engine_name": "spacy", "models": [{"lang_code": "en", "model_name": model}]}
    return AnalyzerEngine(nlp_engine=NlpEngineProvider(nlp_configuration=how).create_engine())


def names_in(text: str) -> list[Finding]:
    engine = analyzer()
    if engine is None:
        return []
    found = engine.analyze(text=text, language="en", entities=["PERSON"], score_threshold=SURE)
    return [
        Finding(one.start, one.end, PERSONAL, f"“{short(text[one.start : one.end])}” looks like a person's name.")
        for one in sorted(found, key=lambda one: one.start)
    ]
