"""`python -m jobs.index`; what it does is in `job.py`."""

from jobs.common.reporting.report import run
from jobs.index.job import IndexArgs, main

if __name__ == "__main__":
    run(main, IndexArgs)
