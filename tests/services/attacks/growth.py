"""`python -m tests.services.attacks.growth FOLDER`: by how many MiB decoding each of its files raises a process's peak,
one line each. Each is decoded in a process of its own, so that no peak hides another.
"""

import contextlib
import os
import resource
import sys
from pathlib import Path

from fromage_model.errors import ImageError
from fromage_model.vision.images import decode_image


def print_growth(path: Path) -> None:
    data = path.read_bytes()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with contextlib.suppress(ImageError):
        decode_image(data)
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10, path.name, flush=True)


if __name__ == "__main__":
    for path in sorted(Path(sys.argv[1]).iterdir()):
        if not (child := os.fork()):
            print_growth(path)
            os._exit(0)
        os.waitpid(child, 0)
