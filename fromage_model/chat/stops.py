"""Text as it may be shown where a reply ends before certain texts: nothing of them, nor of what may become one."""

from collections.abc import Sequence


class Stops:
    """Pieces of text in, what is sure to stay of them out. `stopped`: whether one of `texts` has come."""

    def __init__(self, texts: Sequence[str] = ()):
        self._texts = texts
        self._held = ""
        self.stopped = False

    @property
    def held(self) -> int:
        """How many characters wait for what comes after them."""
        return len(self._held)

    def push(self, piece: str) -> str:
        """The next piece -> what can be shown now; before the stop that is complete first, with which all ends."""
        text = self._held + piece
        found = [(text.find(stop) + len(stop), text.find(stop)) for stop in self._texts if stop in text]
        if found:
            self.stopped, self._held = True, ""
            return text[: min(found)[1]]
        kept = max((_begun(text, stop) for stop in self._texts), default=0)
        self._held = text[len(text) - kept :]
        return text[: len(text) - kept]

    def rest(self) -> str:
        """What was held and turned out to be no stop, as nothing comes after it."""
        rest, self._held = self._held, ""
        return rest


def _begun(text: str, stop: str) -> int:
    """Length of the longest end of `text` that `stop` begins with, and goes on after."""
    return next((count for count in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:count])), 0)
