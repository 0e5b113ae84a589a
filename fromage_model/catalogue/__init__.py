"""The item table: its schema, the feeds it is read from, and what is held out of training."""

from fromage_model.catalogue.schema import SCHEMA, Item
from fromage_model.catalogue.table import Catalogue

__all__ = ["SCHEMA", "Catalogue", "Item"]
