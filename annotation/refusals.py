"""Answers that refuse. Imports no Django.

Only the beginning of an answer is read: an answer that helps, and says further on what it cannot do, is no refusal.
"""

import re

BEGINNING = 240  # characters
VERB = (
    r"(?:help|assist|answer|provide|fulfil+|comply|do that|do this|discuss|create|write|generate|share|support|"
    r"engage|offer|give|participate|respond|complete)"
)
REFUSAL = re.compile(
    rf"\bI(?: a|['’])m (?:very |so |really |truly )?(?:sorry|afraid),? (?:but |that )?(?:I|we) (?:can(?:no|['’])t|"
    rf"cannot|am not able to|['’]m not able to|am unable to|['’]m unable to|won['’]t|will not)\b"
    rf"|\b(?:sorry|apologi[sz]e|apologies),? but I (?:can(?:no|['’])t|cannot|am unable to|['’]m unable to) {VERB}\b"
    rf"|\bI (?:cannot|can['’]t|can not|won['’]t|will not|am not able to|am unable to|must decline to) {VERB}"
    rf"(?: you)?(?: (?:with|to|on|in))? (?:this|that|such|any|your|the request|requests?)\b"
    rf"|\bI(?: a|['’])m (?:unable|not able) to {VERB}\b"
    r"|\bI (?:must|have to) (?:respectfully )?(?:decline|refuse)\b"
    r"|\bI(?: a|['’])m not (?:comfortable|programmed|allowed|permitted) (?:with |to )"
    r"|\bes tut mir (?:sehr )?leid,? aber (?:ich|dabei) (?:kann|darf)\b[^.!?\n]{0,40}\b(?:nicht|keine)\b"
    r"|\bich kann (?:dir|Ihnen|euch) (?:dabei|damit|hierbei) (?:leider )?nicht (?:helfen|weiterhelfen)\b"
    r"|\b(?:je suis )?désolée?,? mais je ne (?:peux|puis) pas\b"
    r"|\blo siento,? pero no puedo\b"
    r"|\bdesculpe,? mas não posso\b|\bmi dispiace,? ma non posso\b",
    re.I,
)


def refusal(text: str) -> tuple[int, int] | None:
    """Where an answer refuses, if it begins by refusing.

    >>> refusal("I'm sorry, but I can't help with that."), refusal("I am sorry that your parcel is late.")
    ((0, 22), None)
    """
    found = REFUSAL.search(text, 0, BEGINNING)
    return found.span() if found else None
