"""What can go wrong in serving a chat, beside the library's own errors. What a client is told is `http.errors`'s."""

from fromage_model.errors import FromageError, InvalidInput


class NotFound(InvalidInput):
    """A path, or an item, that does not exist."""


class Overloaded(FromageError):
    """The queue before the LM is full."""


class Unavailable(FromageError):
    """A deployment can't answer just now."""


class PairRefused(FromageError):
    """A bundle and an index that can't be served; the message says why."""


class TimedOut(FromageError):
    """A reply that was not complete in time."""
