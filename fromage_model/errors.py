"""The domain's exceptions: what a caller can get wrong, each with a message that says what would work."""

import functools


class FromageError(Exception):
    """Base of everything that this project raises on purpose; its message is meant for the user."""


class ConfigError(FromageError):
    """A setting, or a combination of settings, that can't work; the message names the field."""


class InvalidInput(FromageError):
    """Input from a user or a feed that can't be used.

    `field` names where the input stands (`messages.0.content.1.image_url.url`), or is None where there is only one.
    """

    def __init__(self, message: str, *, field: str | None = None):
        super().__init__(message)
        self.field = field


class ImageError(InvalidInput):
    """Bytes that are no image that we read, or one over the limits."""


class PromptTooLong(InvalidInput):
    """A prompt that, with the reply asked for, does not fit into the LM's positions."""


class CatalogueError(FromageError):
    """A catalogue or feed that can't be read: a missing column, a wrong encoding, no rows."""


class BundleError(FromageError):
    """A bundle whose files, keys or shapes are not what its config says."""


class CheckpointError(FromageError):
    """A file of another project whose form, keys or shapes are wrong, or that can't be read without running code."""


class RetrievalIndexError(FromageError):
    """A retrieval index whose files, rows or vectors contradict each other."""


class MissingArtefact(FromageError):
    """A bundle, catalogue, index or weights that are not where they were looked for."""


class WriteError(FromageError):
    """An output that can't be written or read back: a full disk, a folder without permission, a damaged shard."""


class SettingsDiffer(FromageError):
    """Work begun with other settings than it is to be continued with; the message names each with both values."""


class FingerprintMismatch(FromageError):
    """Two artefacts that were not made by the same model; the message gives both fingerprints."""

    def __init__(self, what: str, *, expected: str, found: str):
        super().__init__(f"{what}: expected fingerprint {expected}, found {found}")
        self.what = what
        self.expected = expected
        self.found = found

    def __reduce__(self) -> tuple:
        """It crosses processes whole: Ray raises in the driver what a worker raised."""
        return functools.partial(type(self), expected=self.expected, found=self.found), (self.what,)
