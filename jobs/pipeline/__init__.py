"""The other jobs in their order, from one YAML file. The way in is `job.py`."""
