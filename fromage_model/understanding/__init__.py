"""What a message asks of the catalogue's columns, read by plain rules over the catalogue's own values: no model."""

from fromage_model.understanding.others import Shown, shown_by
from fromage_model.understanding.reading import Reader, Said, Understood

__all__ = ["Reader", "Said", "Shown", "Understood", "shown_by"]
