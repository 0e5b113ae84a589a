"""An app is composed from settings, or refused before anything is deployed."""

import subprocess
import sys
from typing import Any

import pytest
from ray.serve import Application, Deployment

from fromage_model.errors import FingerprintMismatch, MissingArtefact
from fromage_model.header import bundle_fingerprint
from services.app import build_app
from services.deployments.capacity import MOST
from services.settings import Settings


def test_replicas_without_a_model_do_without_torch():
    imports = "import sys, services.deployments.chat, services.deployments.retrieval; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", imports], check=False).returncode == 0


OPENMOJI = {"bundle": "openmoji", "index": "openmoji"}
"""What `make test` prepares."""


def deployed(name: str, **settings: Any) -> Deployment:
    """A deployment of the app with these settings."""
    parts = build_app(Settings.model_validate(OPENMOJI | settings))._bound_deployment.init_args
    return next(part._bound_deployment for part in parts if part._bound_deployment.name == name)


def test_settings_make_an_application():
    assert isinstance(build_app(Settings.model_validate(OPENMOJI)), Application)


def test_threads_of_the_lm_s_replica_spin_as_long_as_is_set():
    options = deployed("llm", llm_spins=7).ray_actor_options
    assert options["runtime_env"]["env_vars"] == {"GOMP_SPINCOUNT": "7"}


@pytest.mark.parametrize(("concurrency", "most"), [(0, MOST), (4, 4)], ids=["chosen", "set"])
def test_the_lm_s_replica_takes_all_that_it_may_decode_and_queue_and_refuses_the_next_itself(concurrency, most):
    llm = deployed("llm", llm_concurrency=concurrency, llm_queue=3)
    assert llm.max_ongoing_requests > most + 3
    assert llm.max_queued_requests == 3


def test_replicas_follow_the_load_between_two_numbers_or_stay_as_many():
    llm = deployed("llm", llm_replicas=2, llm_max_replicas=5, llm_target_requests=3)
    scale = llm._deployment_config.autoscaling_config
    assert (scale.min_replicas, scale.max_replicas, scale.target_ongoing_requests) == (2, 5, 3)
    encoder = deployed("encoder", encoder_replicas=2)
    assert (encoder.num_replicas, encoder._deployment_config.autoscaling_config) == (2, None)


def test_every_replica_reserves_what_is_set_and_has_time_to_end_what_it_began():
    for name in ("encoder", "llm", "retrieval"):
        one = deployed(name, drain_timeout_s=7, **{f"{name}_num_cpus": 0.5})
        assert one.ray_actor_options["num_cpus"] == 0.5
        assert one._deployment_config.graceful_shutdown_timeout_s == 7
    assert deployed("llm", llm_num_gpus=0.5).ray_actor_options["num_gpus"] == 0.5


def test_index_of_another_bundle_is_refused_with_both_fingerprints(stranger_index: str):
    with pytest.raises(FingerprintMismatch) as refusal:
        build_app(Settings(bundle="openmoji", index=stranger_index))
    assert bundle_fingerprint("openmoji") in str(refusal.value)
    assert "f00d" in str(refusal.value)
    assert "python -m jobs.index --bundle" in str(refusal.value)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("bundle", {"bundle": "nowhere"}),
        ("index", {"index": "nowhere"}),
        ("catalogue", {"catalogue": "nowhere"}),
    ],
)
def test_missing_artefact_is_refused_and_the_command_that_makes_it_named(kind: str, settings: dict[str, str]):
    with pytest.raises(MissingArtefact, match=rf"no {kind} 'nowhere'.*python -m jobs\."):
        build_app(Settings.model_validate(OPENMOJI | settings))
