"""`python -m jobs.embed`; what it does is in `job.py`."""

from jobs.common.reporting.report import run
from jobs.embed.job import EmbedArgs, main

if __name__ == "__main__":
    run(main, EmbedArgs)
