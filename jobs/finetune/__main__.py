"""`python -m jobs.finetune`; what it does is in `job.py` and, with `--model frozen`, in `frozen/job.py`."""

import sys

from jobs.common.reporting.report import run
from jobs.finetune.frozen.job import main as train_frozen
from jobs.finetune.frozen.settings import FrozenArgs
from jobs.finetune.job import main as train_fromage
from jobs.finetune.recipes import recipe_in
from jobs.finetune.settings import FinetuneArgs

Args = FinetuneArgs | FrozenArgs
"""Of one model or the other, told apart by their field `model`."""


def model_of(arguments: list[str]) -> str:
    """What `--model` says, in either of its forms; `fromage` without it."""
    for place, word in enumerate(arguments):
        if word == "--model" and place + 1 < len(arguments):
            return arguments[place + 1]
        if word.startswith("--model="):
            return word.partition("=")[2]
    return "fromage"


if __name__ == "__main__":
    if model_of(sys.argv[1:]) == "frozen":
        run(train_frozen, FrozenArgs, program="jobs.finetune --model frozen")
    else:
        run(train_fromage, FinetuneArgs, default=lambda words: FinetuneArgs(recipe=recipe_in(words)))
