"""Captions for the items of a catalogue that have none. The way in is `job.py`."""
