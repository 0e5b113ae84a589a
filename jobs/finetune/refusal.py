"""A worker that refuses what it was given ends the run at once; a worker that is lost is replaced.

What a worker refuses, the next one would refuse as well. Knows no model, and nothing of why anybody refuses.
"""

from ray.train.v2._internal.execution.failure_handling import DefaultFailurePolicy, FailureDecision
from ray.train.v2.api.exceptions import TrainingFailedError, WorkerGroupError

from fromage_model.errors import FromageError


class RefusalEnds(DefaultFailurePolicy):
    """Ray Train's own policy, `max_failures` and all, for everything but a FromageError of a worker."""

    def make_decision(self, training_failed_error: TrainingFailedError) -> FailureDecision:
        if refusal_in(training_failed_error) is not None:
            return FailureDecision.RAISE
        return super().make_decision(training_failed_error)


def refusal_in(error: TrainingFailedError) -> FromageError | None:
    """What a worker refused, the first one's where several did; None where nobody did."""
    failures = error.worker_failures if isinstance(error, WorkerGroupError) else {}
    return next((one for _, one in sorted(failures.items()) if isinstance(one, FromageError)), None)
