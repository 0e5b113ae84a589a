"""Ray Train's own callbacks, but for the one that may take workers away."""

from ray.train.torch import TorchTrainer
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback

from jobs.finetune.trainer import Trainer


def test_nothing_but_the_placement_group_cleaner_is_left_out():
    theirs, ours = (
        {type(one) for one in kind(lambda: None)._create_default_callbacks()} for kind in (TorchTrainer, Trainer)
    )
    assert theirs - ours == {PlacementGroupCleanerCallback}
    assert ours <= theirs
