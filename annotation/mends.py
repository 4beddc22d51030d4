"""What a text becomes when what a check found in it is mended. Imports no Django.

Personal data and keys give way to words in round brackets, which nobody takes for a place to fill in. Broken letters
become what they were before their encoding was mistaken.
"""

from collections.abc import Iterable

import ftfy

MASKS = {  # by the word of the check's sentence that says what it is
    "e-mail": "(e-mail address removed)",
    "telephone": "(telephone number removed)",
    "card": "(card number removed)",
    "account": "(account number removed)",
    "name": "(name removed)",
}
KEY_MASK = "(key removed)"
MENDABLE = ("encoding", "personal", "secret")


def mask_of(kind: str, sentence: str) -> str:
    """What is put in place of something that must not be learnt.

    >>> mask_of("personal", "“a@shop.org” is an e-mail address.")
    '(e-mail address removed)'
    """
    if kind == "secret":
        return KEY_MASK
    last = sentence.rpartition("”")[2]  # what is quoted may say anything
    return next((mask for word, mask in MASKS.items() if word in last), "(personal data removed)")


def repaired(text: str) -> str:
    """The text with letters put right that went through a wrong encoding; nothing else is changed.

    >>> repaired("The cafÃ© is open. “Really”, it’s fine."), repaired("A naïve façade")
    ('The café is open. “Really”, it’s fine.', 'A naïve façade')
    """
    return ftfy.fix_encoding(text)


def mended(text: str, found: Iterable[tuple[str, int, int, str]]) -> str:
    """The text with all of these mended: (kind, start, end, sentence).

    >>> mended("Ask bob@shop.org or bea@shop.org.",
    ...        [("personal", 4, 16, "“bob@shop.org” is an e-mail address."),
    ...         ("personal", 20, 32, "“bea@shop.org” is an e-mail address.")])
    'Ask (e-mail address removed) or (e-mail address removed).'
    """
    broken = False
    for kind, start, end, sentence in sorted(found, key=lambda one: -one[1]):
        if kind == "encoding":
            broken = True
        else:
            text = text[:start] + mask_of(kind, sentence) + text[end:]
    return repaired(text) if broken else text
