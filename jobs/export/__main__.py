"""`python -m jobs.export`; what it does is in `job.py`."""

from jobs.common.reporting.report import run
from jobs.export.forms import ExportArgs
from jobs.export.job import main

if __name__ == "__main__":
    run(main, ExportArgs)  # type: ignore[arg-type]  # to tyro a union is subcommands
