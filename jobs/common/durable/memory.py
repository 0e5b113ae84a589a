"""How much memory this process took at most. Knows nothing of jobs."""

import resource
import sys


def peak_rss_bytes() -> int:
    """The largest resident set of this process; getrusage(2) counts KiB on Linux and bytes on macOS."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
