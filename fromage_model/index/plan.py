"""Which kind of index suits a number of vectors, their width and the memory that search may hold. Builds none.

Shapes: N vectors, S width.
"""

from dataclasses import dataclass
from typing import Literal

from fromage_model.errors import ConfigError

Kind = Literal["exact", "hnsw", "ivfpq"]
KINDS: tuple[Kind, ...] = ("exact", "hnsw", "ivfpq")
GIB = 1 << 30

# A query against so many numbers (65,536 vectors of width 256) takes about 5 ms on one core; there is nothing to gain.
EXACT_NUMBERS = 1 << 24
# Neighbours of a vector in HNSW: 2 M at the lowest level, a little more for those above.
HNSW_NEIGHBOURS = 32
HNSW_LINK_BYTES = 2 * HNSW_NEIGHBOURS * 4 * 17 // 16
# A product quantizer of 256 centroids is trained on 39 points of each, as faiss asks.
IVFPQ_MIN_ROWS = 39 * 256
IVFPQ_ID_BYTES = 8


@dataclass(frozen=True)
class Plan:
    """A kind of index, and in words why it was chosen. Raises ConfigError for a kind that there is none of."""

    kind: Kind
    reason: str

    def __post_init__(self):
        if not isinstance(self.kind, str) or self.kind not in KINDS:
            raise ConfigError(f"kind is {self.kind!r}; expected exact, hnsw or ivfpq")


def checked_plan(plan: Plan, rows: int) -> Plan:
    """The plan. Raises ConfigError where N vectors can't be searched by it."""
    if not isinstance(plan, Plan):
        raise ConfigError(f'plan is {plan!r:.80}; expected a Plan, for example Plan("exact", "it is small")')
    if plan.kind == "ivfpq" and rows < IVFPQ_MIN_ROWS:
        raise ConfigError(
            f"kind is ivfpq; it needs at least {IVFPQ_MIN_ROWS:,} items to learn from, got {rows:,}; exact and hnsw "
            "take any number"
        )
    return plan


def kept_plan(kind: Kind, reason: str, rows: int) -> Plan:
    """The plan that an index has for the N vectors that it came to hold: another kind where these are too few."""
    if kind == "ivfpq" and rows < IVFPQ_MIN_ROWS:
        return Plan("exact", f"{rows:,} vectors are too few for quantized lists")
    return Plan(kind, reason)


def plan_index(rows: int, width: int, *, kind: str = "auto", memory_gib: float) -> Plan:
    """The kind for N vectors of width S, whose codes and graph must fit into `memory_gib` (GiB).

    The vectors themselves stay on disk behind a memory map and are not counted. Raises ConfigError for an unknown kind,
    and for one that was asked for and can't be had.
    """
    if kind not in ("auto", *KINDS):
        raise ConfigError(f"kind is {kind!r}; expected auto, exact, hnsw or ivfpq")
    if memory_gib <= 0:
        raise ConfigError(f"memory_gib is {memory_gib}; expected more than 0, for example 4")
    size = f"{rows:,} vectors of width {width}"
    if kind != "auto":
        wanted = next(known for known in KINDS if known == kind)
        return checked_plan(Plan(wanted, f"{kind} was asked for, over {size}"), rows)
    if rows * width <= EXACT_NUMBERS:
        return Plan("exact", f"{size} are searched exactly in a few milliseconds")
    needed_gib = hnsw_bytes(rows, width) / GIB
    if needed_gib <= memory_gib:
        return Plan("hnsw", f"{size} need {needed_gib:.2f} GiB as a graph, and {memory_gib:g} GiB may be used")
    quantized_gib = ivfpq_bytes(rows, width) / GIB
    if rows < IVFPQ_MIN_ROWS:
        return Plan("exact", f"{size} are too few for quantized lists, and a graph needs {needed_gib:.2f} GiB")
    return Plan(
        "ivfpq",
        f"{size} would need {needed_gib:.2f} GiB as a graph, of {memory_gib:g} GiB that may be used; quantized lists "
        f"need {quantized_gib:.2f} GiB",
    )


def hnsw_bytes(rows: int, width: int) -> int:
    """One byte for each number, and the links."""
    return rows * (width + HNSW_LINK_BYTES)


def ivfpq_bytes(rows: int, width: int) -> int:
    """The codes, an id of each, and the centroids of the lists."""
    return rows * (code_bytes(width) + IVFPQ_ID_BYTES) + list_count(rows) * width * 4


def code_bytes(width: int) -> int:
    """Bytes of a product-quantized vector: the most parts, at most one for four numbers, that divide the width."""
    return next(parts for parts in range(max(width // 4, 1), 0, -1) if width % parts == 0)


def list_count(rows: int) -> int:
    """Lists of IVF: 4 sqrt(N), as faiss advises below a million vectors, with 39 training points for each."""
    return max(1, min(int(4 * rows**0.5), rows // 39))
