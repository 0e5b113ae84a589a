"""How much memory this process took at most, and what it is called where it tells so. Knows nothing of jobs."""

import os
import resource
import sys


def peak_rss_bytes() -> int:
    """The largest resident set of this process; getrusage(2) counts KiB on Linux and bytes on macOS."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def this_process() -> str:
    """Its machine and its number there."""
    return f"{os.uname().nodename}:{os.getpid()}"
