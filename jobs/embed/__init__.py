"""Features of a catalogue's pictures. The way in is `job.py`."""
