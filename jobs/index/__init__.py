"""A retrieval index from a catalogue, its features and a bundle. The way in is `job.py`."""
