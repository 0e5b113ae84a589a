"""How good a bundle is, by recall and by what its chat answers. The way in is `job.py`."""
