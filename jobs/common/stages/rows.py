"""What every Ray Data stage does: say which column is missing, and what went wrong with a row. Knows no stage."""

from collections.abc import Sequence

import pyarrow as pa

from fromage_model.errors import CatalogueError

MAX_MESSAGE_CHARS = 500


def require_columns(batch: pa.Table, columns: Sequence[str], *, stage: str) -> None:
    """Raises CatalogueError, which names the columns that a stage needs and does not find."""
    missing = [name for name in columns if name not in batch.column_names]
    if missing:
        raise CatalogueError(f"{stage}: missing columns {', '.join(missing)}; found {', '.join(batch.column_names)}")


def failed(stage: str, error: Exception | None) -> dict[str, str]:
    """The fields of a row that went wrong. What a message quotes may be no text that a table can hold."""
    message = str(error)[:MAX_MESSAGE_CHARS].encode("utf-8", "backslashreplace").decode()
    return {"stage": stage, "error": type(error).__name__, "message": message}
