"""Artefacts in the forms that others read, and back. The way in is `job.py`."""
