"""`python -m jobs.finetune`; what it does is in `job.py`."""

from jobs.common.reporting.report import run
from jobs.finetune.job import FinetuneArgs, main

if __name__ == "__main__":
    run(main, FinetuneArgs)
