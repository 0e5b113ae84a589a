"""One folder for each job, run as `python -m jobs.NAME`; `common` is what they share."""
