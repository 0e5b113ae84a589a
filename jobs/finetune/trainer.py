"""Ray Train's trainer without its placement group cleaner, and with an end to what can't go well."""

from typing import Any

from ray.train import Result
from ray.train.torch import TorchTrainer
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback

from jobs.finetune.refusal import RefusalEnds


class Trainer(TorchTrainer):
    """Its workers keep what they reserved until the training ends, or the job that it is of; a refusal ends it.

    The cleaner asks every second, of whatever answers at the dashboard's address, whether the training still has a
    controller. Beside a Ray that has no dashboard, as a job's own has none, that may be the dashboard of another Ray on
    the machine, such as the services'; it knows no such actor, and the cleaner takes the workers' CPUs and GPUs away in
    mid-epoch. What a trial leaves reserved that a sweep stops, `reserved` gives back.
    """

    def _create_default_callbacks(self) -> list[Any]:
        return [
            one for one in super()._create_default_callbacks() if not isinstance(one, PlacementGroupCleanerCallback)
        ]

    def _initialize_and_run_controller(self, **parts: Any) -> Result:
        policy = RefusalEnds(self.run_config.failure_config)
        return super()._initialize_and_run_controller(**parts | {"failure_policy": policy})
