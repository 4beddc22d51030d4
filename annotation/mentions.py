"""Whom @name means in what people write to each other. Imports no Django."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

# What a user name is made of, as Django has it, and accents that a keyboard wrote as characters of their own.
AFTER_AT = "[@\uff20](?P<name>[\\w.@+\u0300-\u036f-]+)"
# Code and addresses, in which an @ means something else, and names after an @ that no word or address runs up to.
PARTS = re.compile(
    r"(?<![`\w])(?P<fence>`{3,})(?!`).+?(?:(?<!`)(?P=fence)(?!`)|\Z)"
    r"|(?<![`\w])(?P<ticks>`{1,2})(?!`)[^\n]+?(?<!`)(?P=ticks)(?!`)"
    r"|\b(?:[a-z][a-z0-9+.-]{0,15}://|www\.|mailto:)\S+"
    rf"|(?<![\w.@\uff20+/\\=#%?&~-]){AFTER_AT}",
    re.IGNORECASE | re.DOTALL,
)
ENDS = "._-+@"  # may be part of a name, and may as well end a sentence that a name ends


class Mention(NamedTuple):
    """Of whom, and from where to where in the text, with the @."""

    name: str
    start: int
    end: int


class Names:
    """The user names that can be mentioned. As in signing in, case decides only between names that differ in nothing
    else."""

    def __init__(self, names: Iterable[str]) -> None:
        self._exact = frozenset(names)
        often = Counter(map(_folded, self._exact))
        self._folded = {_folded(name): name for name in self._exact if often[_folded(name)] == 1}
        self._longest = max(map(len, often), default=0)

    def mentions(self, text: str) -> list[Mention]:
        """Who is mentioned in a text, in its order; a name that is none of these stays text.

        >>> [text[start:end] for text in ["(@Bea), ask @bob. Or bob@x.example?"]
        ...  for _, start, end in Names(["bea", "bob", "x.example"]).mentions(text)]
        ['@Bea', '@bob']
        """
        found = []
        for part in PARTS.finditer(text):
            name, rest = self.meant(part["name"] or "")
            if name:
                found.append(Mention(name, part.start(), part.end() - len(rest)))
        return found

    def mentioned(self, text: str) -> set[str]:
        return {mention.name for mention in self.mentions(text)}

    def meant(self, written: str) -> tuple[str, str]:
        """Whose name what stands after an @ begins with, if any, and the punctuation that follows it.

        >>> Names(["bob", "j.doe"]).meant("j.doe..."), Names(["bob"]).meant("bobby")
        (('j.doe', '...'), ('', 'bobby'))
        """
        begun = written.rstrip(ENDS)
        rest = written[len(begun) :]
        name = unicodedata.normalize("NFKC", begun)  # once: what may follow it stays as it is
        folded = name.casefold()
        for end in range(min(len(rest), self._longest - len(folded)), -1, -1):
            whole = name + rest[:end]
            if meant := whole if whole in self._exact else self._folded.get(folded + rest[:end]):
                return meant, rest[end:]
        return "", written


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()
