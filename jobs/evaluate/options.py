"""What `jobs.evaluate` can be told. Knows nothing of how it is measured."""

from dataclasses import dataclass
from typing import Annotated, Literal

from tyro.constructors import PrimitiveConstructorSpec

from fromage_model.errors import ConfigError
from jobs.common.options import check_options

BenchmarkName = Literal["retrieval", "captioning", "vqa", "vist", "visdial", "products", "chat"]

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
    catalogue: str = "wardrobe"
    """Catalogue to measure it on: a name, a folder, or a URI."""
    split: str | None = None
    """Split that is measured: of a catalogue `held-out` without it, of a benchmark's files `test` or `val`."""
    benchmark: BenchmarkName | None = None
    """Measure by a protocol of the papers: retrieval, captioning, vqa, vist, visdial; `chat` is --queries, `products`
    whether they are shown to whom who wants some. The bundle may be a FROZEN model for captioning, vqa and visdial, for
    captioning any captioner."""
    data: str | None = None
    """With --benchmark: folder into which its official files and pictures were unpacked. Without it, retrieval,
    captioning and vqa take the catalogue."""
    compare: tuple[str, str] | None = None
    """With --benchmark: measure these two instead of --bundle, and tell whether they differ."""
    limit: int | None = None
    """With --benchmark: at most so many of its examples, drawn by --seed."""
    max_failed: float = 0.5
    """With --benchmark: refuse, before anything is computed, a file of which a larger share can't be used."""
    shots: tuple[int, ...] = (0, 1, 2, 4, 8)
    """With --benchmark vqa: how many solved questions stand before each question; all of these are measured."""
    repeats: int = 1
    """With --benchmark vqa: how often these stand there, one after the other, as FROZEN's paper repeats them."""
    draws: int = 1
    """With --benchmark vqa: how often other solved questions are drawn for each question."""
    choices: int = 100
    """With --benchmark vqa: the closed choice is among so many of the most frequent training answers; 0 for none."""
    seed: int = 0
    """With --benchmark: draws the examples of --limit, and the solved questions of vqa."""
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
    said_filters: bool = False
    """With --queries: narrow the search by what is said of colour, price and the like, as the served chat does; without
    it the model alone is measured."""
    text_weight: float | None = None
    """With --queries and an index made with --hybrid: what words count beside the model, from 0 to 1, under pictures
    too; without it as the served chat has it."""
    details: str | None = None
    """With --queries: file or URI for each message, what came and what the chat said, as JSON."""
    verbose: bool = False
    """With --queries: print each message and what came."""
    out: str | None = None
    """File or fsspec URI for the metrics as JSON; with --benchmark a folder for the metrics, the page, the examples and
    the failures. Without it, one under `evaluations` in the cache."""
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
        if self.text_weight is not None and not 0 <= self.text_weight <= 1:
            raise ConfigError(f"text_weight is {self.text_weight}; expected 0 to 1, for example 0.5")
        if self.picture_messages < 0 or self.threads < 0:
            raise ConfigError("picture_messages and threads must be 0 or more")
        positive = ("limit", "repeats", "draws")
        check_options(self, positive=positive, not_negative=("choices", "seed"), shares=("max_failed",))
        if not self.shots or min(self.shots) < 0 or len(set(self.shots)) < len(self.shots):
            raise ConfigError(f"shots is {self.shots}; expected different numbers of 0 or more, for example 0 1 4")
        if self.benchmark in (None, "chat") and (self.compare or self.data):
            raise ConfigError("compare and data belong to --benchmark retrieval, captioning, vqa, vist or visdial")
        if self.benchmark == "products" and self.data:
            raise ConfigError("data is given, but --benchmark products has its messages with it; leave data out")
        if self.benchmark in ("vist", "visdial") and self.data is None:
            raise ConfigError(f"data is missing; --benchmark {self.benchmark} wants the folder of its official files")
        if self.benchmark not in (None, "chat") and self.queries is not None:
            raise ConfigError(f"queries belongs to --benchmark chat, not to {self.benchmark}")
        if not 0 <= self.picture_share <= 1:
            raise ConfigError(f"picture_share is {self.picture_share}; expected 0 to 1, for example 0.25")
