"""From what a shop has, a feed or a folder of pictures, to a catalogue. The way in is `job.py`."""
