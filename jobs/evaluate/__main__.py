"""`python -m jobs.evaluate`; what it does is in `job.py`."""

from jobs.common.reporting.report import run
from jobs.evaluate.job import EvaluateArgs, main

if __name__ == "__main__":
    run(main, EvaluateArgs)
