"""The retrieval index: unit vectors of a catalogue's items, searched exactly or by faiss, with filters inside."""

from fromage_model.index.asked import Hit
from fromage_model.index.conditions import Condition
from fromage_model.index.exact import top_rows
from fromage_model.index.filters import Filter
from fromage_model.index.hybrid import DEFAULT_TEXT_WEIGHT
from fromage_model.index.info import FORMAT, INFO_FILE, IndexInfo, Measured, Sentences, read_info
from fromage_model.index.plan import Kind, Plan, plan_index
from fromage_model.index.retrieval import RetrievalIndex

__all__ = [
    "DEFAULT_TEXT_WEIGHT",
    "FORMAT",
    "INFO_FILE",
    "Condition",
    "Filter",
    "Hit",
    "IndexInfo",
    "Kind",
    "Measured",
    "Plan",
    "RetrievalIndex",
    "Sentences",
    "plan_index",
    "read_info",
    "top_rows",
]
