"""FROZEN: a trained vision encoder gives a frozen LM an image prefix (Tsimpoukelli et al. 2021). See `model.py`."""

from fromage_model.frozen.arrow.make import make_arrow

__all__ = ["make_arrow"]
