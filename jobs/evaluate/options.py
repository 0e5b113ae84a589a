"""What `jobs.evaluate` can be told. Knows nothing of how it is measured."""

from dataclasses import dataclass
from typing import Annotated

from tyro.constructors import PrimitiveConstructorSpec

from fromage_model.errors import ConfigError

# As a set's name: the shipped one of the catalogue's name.
OF_CATALOGUE = "that of the catalogue"

# An option whose value may be left out: alone it names a shipped set.
OptionalFile = PrimitiveConstructorSpec(
    nargs=(0, 1),
    metavar="[FILE]",
    instance_from_str=lambda words: words[0] if words else OF_CATALOGUE,
    is_instance=lambda value: value is None or isinstance(value, str),
    str_from_instance=lambda value: [value] if value else ["none"],
)


@dataclass(frozen=True)
class EvaluateArgs:
    """Measure a bundle."""

    bundle: str = "default"
    """Bundle to measure: a name, a folder, or a URI."""
    catalogue: str = "openmoji"
    """Catalogue to measure it on: a name, a folder, or a URI."""
    split: str = "held-out"
    """Split whose names and pictures look for each other."""
    features: str | None = None
    """Features of the catalogue's pictures: a name or a folder. Without it, those named like the catalogue."""
    name_and_tags: bool = False
    """Also measure queries of the name and three tags; reported beside the names alone."""
    compare_vectors: bool = False
    """Also compare what items can be found by (picture, caption, both), asked with tags and not with their names."""
    picture_share: float = 0.25
    """With --compare-vectors: what the picture counts in both, from 0 to 1; the caption counts the rest."""
    queries: Annotated[str | None, OptionalFile] = None
    """Measure the chat and not recall: the messages of this set or file; alone, those shipped for the catalogue."""
    index: str | None = None
    """Index that the chat retrieves from: a name, a folder, or a URI. Without it, the one named like the catalogue."""
    picture_messages: int = 50
    """With --queries of a set that brings no pictures of its own: pictures of each split to ask about, 0 for none."""
    baselines: bool = True
    """With --queries of a set with conversations: also measure what the chat is to be better than."""
    max_new_tokens: int = 48
    """With --queries: tokens that a reply may have; products that would come after them do not count."""
    repetition_penalty: float = 1.2
    """With --queries: divides the score of words already written, as the served chat does; 1 for none."""
    details: str | None = None
    """With --queries: file or URI for each message, what came and what the chat said, as JSON."""
    verbose: bool = False
    """With --queries: print each message and what came."""
    out: str | None = None
    """File or fsspec URI for the metrics as JSON. Without it, one under `evaluations` in the cache."""
    record: bool = False
    """Write the metrics into the bundle as well."""
    workers: int = 1
    """Ray Data actors that hold the LM, each reserving one CPU."""
    threads: int = 0
    """Torch threads of each actor; 0 shares the machine's CPUs among them."""

    def __post_init__(self):
        if self.max_new_tokens < 1:
            raise ConfigError(f"max_new_tokens is {self.max_new_tokens}; expected 1 or more, for example 48")
        if not 0 < self.repetition_penalty <= 2:
            raise ConfigError(f"repetition_penalty is {self.repetition_penalty}; expected above 0 and at most 2")
        if self.workers < 1:
            raise ConfigError(f"workers is {self.workers}; expected 1 or more")
        if self.picture_messages < 0 or self.threads < 0:
            raise ConfigError("picture_messages and threads must be 0 or more")
        if not 0 <= self.picture_share <= 1:
            raise ConfigError(f"picture_share is {self.picture_share}; expected 0 to 1, for example 0.25")
