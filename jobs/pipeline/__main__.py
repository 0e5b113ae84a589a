"""`python -m jobs.pipeline`; what it does is in `job.py`."""

from jobs.common.reporting.report import run
from jobs.pipeline.job import PipelineArgs, main

if __name__ == "__main__":
    run(main, PipelineArgs)
