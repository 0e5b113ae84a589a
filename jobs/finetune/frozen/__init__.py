"""FROZEN, trained by the job: pictures that are given to a frozen LM as its prefix. `job.py` is the way in."""
