"""`python -m jobs.ingest`; what it does is in `job.py`."""

from jobs.common.reporting.report import run
from jobs.ingest.job import IngestArgs, main

if __name__ == "__main__":
    run(main, IngestArgs)
