"""`python -m jobs.caption`; what it does is in `job.py`."""

from jobs.caption.job import CaptionArgs, main
from jobs.common.reporting.report import run

if __name__ == "__main__":
    run(main, CaptionArgs)
