"""Text as it is being written: tokens become characters as soon as these are certain, and stop where they should."""

from collections.abc import Callable, Sequence

Decode = Callable[[list[int]], str]
HALF = "\ufffd"  # what the decoder gives for a character whose last bytes have not come yet
BEHIND = 6  # tokens that are decoded again, since a token may read differently after another


class Writing:
    """One answer. `take` gives the text that is certain after each token; `close` what is left.

    >>> letters = lambda tokens: "".join(map(chr, tokens))
    >>> writing = Writing(letters, stops=["END"])
    >>> [writing.take(ord(letter)) for letter in "an ENEND!"]
    ['a', 'n', ' ', '', '', 'EN', '', '', '']
    >>> writing.stopped, writing.close(), writing.tokens
    (True, '', 8)
    """

    def __init__(self, decode: Decode, stops: Sequence[str] = ()) -> None:
        self.decode, self.stops = decode, [stop for stop in stops if stop]
        self.stopped = False
        self.tokens = 0
        self._ids: list[int] = []
        self._start = self._told = 0  # from where is decoded, and up to where it is told
        self._held = ""  # what may be the beginning of a stop

    def take(self, token: int) -> str:
        if self.stopped:
            return ""
        self.tokens += 1
        self._ids.append(token)
        before = self.decode(self._ids[self._start : self._told])
        whole = self.decode(self._ids[self._start :])
        if whole.endswith(HALF) or len(whole) <= len(before):
            return ""
        self._told = len(self._ids)
        self._start = max(self._start, self._told - BEHIND)
        return self._certain(self._held + whole[len(before) :])

    def close(self) -> str:
        """The rest, when no more tokens come."""
        if self.stopped:
            return ""
        before = self.decode(self._ids[self._start : self._told])
        rest = self._held + self.decode(self._ids[self._start :])[len(before) :]
        certain = self._certain(rest)
        held, self._held = self._held, ""
        return certain + held

    def _certain(self, text: str) -> str:
        places = [place for place in (text.find(stop) for stop in self.stops) if place >= 0]
        if places:
            self.stopped, self._held = True, ""
            return text[: min(places)]
        held = max((_overlap(text, stop) for stop in self.stops), default=0)
        self._held = text[len(text) - held :]
        return text[: len(text) - held]


def _overlap(text: str, stop: str) -> int:
    """How much of the end of a text is the beginning of a stop."""
    return next((size for size in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:size])), 0)
