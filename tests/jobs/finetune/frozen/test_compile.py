"""`--compile` with `--model frozen`: a step learns what a plain one does."""

from jobs.finetune.frozen.worker import FrozenWorker
from tests.jobs.finetune.test_compile import assert_alike


def test_a_step_has_the_loss_and_the_gradient_of_a_plain_one(frozen_args):
    assert_alike(lambda **settings: FrozenWorker(frozen_args(**settings), rank=0, world_size=1))
