"""Ray Train's own callbacks and policy, but for what may take workers away, and for what a worker refuses."""

from ray.exceptions import RayActorError
from ray.train import FailureConfig, WorkerGroupError
from ray.train.torch import TorchTrainer
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
from ray.train.v2._internal.execution.failure_handling import FailureDecision

from fromage_model.errors import ConfigError, FingerprintMismatch
from jobs.finetune.refusal import RefusalEnds, refusal_in
from jobs.finetune.trainer import Trainer


def test_nothing_but_the_placement_group_cleaner_is_left_out():
    theirs, ours = (
        {type(one) for one in kind(lambda: None)._create_default_callbacks()} for kind in (TorchTrainer, Trainer)
    )
    assert theirs - ours == {PlacementGroupCleanerCallback}
    assert ours <= theirs


def test_what_a_worker_refuses_ends_a_training_and_a_lost_one_is_replaced_as_often_as_is_allowed():
    policy = RefusalEnds(FailureConfig(max_failures=2))
    lost = WorkerGroupError("lost", {1: RayActorError()})
    assert [policy.make_decision(lost).value for _ in range(3)] == ["RETRY", "RETRY", "RAISE"]
    refusals = {3: ConfigError("no"), 2: FingerprintMismatch("the LM", expected="a", found="b"), 0: RayActorError()}
    refused = WorkerGroupError("refused", refusals)
    assert RefusalEnds(FailureConfig(max_failures=-1)).make_decision(refused) is FailureDecision.RAISE
    assert str(refusal_in(refused)) == "the LM: expected fingerprint a, found b"
