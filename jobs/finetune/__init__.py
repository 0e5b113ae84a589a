"""A bundle from features and captions. The way in is `job.py`; what each worker does is `loop.py`."""
