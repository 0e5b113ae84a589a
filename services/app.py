"""The Serve application: four deployments, composed from settings. Nothing is bound at import.

serve run services.app:build_app bundle=default index=openmoji
"""

import time
from pathlib import PurePath

from ray.serve import Application

from fromage_model.bundle import Header, read_header
from fromage_model.errors import FingerprintMismatch
from fromage_model.index import IndexInfo, read_info
from fromage_model.storage.artefacts import locate
from services import capacity
from services.deployments.chat import ChatDeployment
from services.deployments.encoder import EncoderDeployment
from services.deployments.llm import LlmDeployment
from services.deployments.retrieval import RetrievalDeployment
from services.http.options import HttpOptions, ServedModel
from services.settings import MIB, Settings

CHAT_ONGOING_REQUESTS = 1000
PARALLEL_PICTURES = 64
PARALLEL_LOOKUPS = 100
START_TRIES = 2
REFUSED_AT_ONCE = 64
"""Chats beyond its queue that a replica takes, to refuse them."""
SPINS = "GOMP_SPINCOUNT"
"""Read by torch's OpenMP as it is loaded. By its own default a thread that waits for another keeps its core for
milliseconds, and beside busy processes the LM wrote a tenth of its tokens, or less.
"""


def build_app(settings: Settings) -> Application:
    """The application, after a check that bundle and index exist and belong together.

    Raises MissingArtefact, BundleError, RetrievalIndexError or FingerprintMismatch before anything is deployed.
    """
    header, fingerprint = read_header(locate("bundle", settings.bundle))
    index = check_index(settings, fingerprint)
    model = ServedModel(id=PurePath(settings.bundle).name, fingerprint=fingerprint, created=int(time.time()))
    chat = ChatDeployment.options(
        num_replicas=settings.chat_replicas,
        ray_actor_options={"num_cpus": settings.chat_num_cpus},
        max_ongoing_requests=CHAT_ONGOING_REQUESTS,
        max_constructor_retry_count=START_TRIES,
    )
    return chat.bind(
        _encoder(settings, header),
        _llm(settings),
        _retrieval(settings, index),
        model=model,
        options=HttpOptions(
            limits=settings.limits,
            defaults=settings.defaults,
            max_body_bytes=settings.max_body_bytes,
            answer_request_id=False,
            public_url=settings.public_url,
        ),
        reply_timeout_s=settings.reply_timeout_s,
    )


def check_index(settings: Settings, fingerprint: str) -> IndexInfo:
    """What the index says about itself, when the bundle with this fingerprint made it and its pictures are there."""
    index = read_info(locate("index", settings.index))
    locate("catalogue", settings.catalogue or index.catalogue)
    if index.fingerprint != fingerprint:
        raise FingerprintMismatch(
            f"index {settings.index!r} was not made by bundle {settings.bundle!r}; "
            f"`python -m jobs.index --bundle {settings.bundle}` makes one that is",
            expected=fingerprint,
            found=index.fingerprint,
        )
    return index


def _encoder(settings: Settings, header: Header) -> Application:
    deployment = EncoderDeployment.options(
        num_replicas=settings.encoder_replicas,
        ray_actor_options={"num_cpus": settings.encoder_num_cpus, "num_gpus": settings.encoder_num_gpus},
        max_ongoing_requests=PARALLEL_PICTURES,
        max_constructor_retry_count=START_TRIES,
    )
    return deployment.bind(
        header.config.vision_encoder,
        fingerprint=header.encoder_fingerprint,
        device=settings.device,
        threads=settings.encoder_threads,
        batch_images=settings.encoder_batch_images,
        batch_wait_s=settings.encoder_batch_wait_s,
        cache_images=settings.encoder_cache_images,
        limits=settings.image_limits,
    )


def _llm(settings: Settings) -> Application:
    """Its queue is bounded: a chat that would wait for long is better refused at once.

    Chats wait inside a replica, which alone knows how many it decodes at once; here stands the most that can be. Those
    that no replica has taken yet, as while one starts again, are bounded as well.
    """
    deployment = LlmDeployment.options(
        num_replicas=settings.llm_replicas,
        ray_actor_options={
            "num_cpus": settings.llm_num_cpus,
            "num_gpus": settings.llm_num_gpus,
            "runtime_env": {"env_vars": {SPINS: str(settings.llm_spins)}},
        },
        max_ongoing_requests=(settings.llm_concurrency or capacity.MOST) + settings.llm_queue + REFUSED_AT_ONCE,
        max_queued_requests=settings.llm_queue,
        max_constructor_retry_count=START_TRIES,
    )
    return deployment.bind(
        settings.bundle,
        device=settings.device,
        threads=settings.llm_torch_threads,
        concurrency=settings.llm_concurrency,
        least_rate=settings.llm_least_rate,
        queue=settings.llm_queue,
        gather_s=settings.llm_gather_ms / 1000,
        quantize=settings.llm_quantize,
        prefix_bytes=settings.llm_prefix_mb * MIB,
    )


def _retrieval(settings: Settings, index: IndexInfo) -> Application:
    deployment = RetrievalDeployment.options(
        num_replicas=settings.retrieval_replicas,
        ray_actor_options={"num_cpus": settings.retrieval_num_cpus},
        max_ongoing_requests=PARALLEL_LOOKUPS,
        max_constructor_retry_count=START_TRIES,
    )
    catalogue = settings.catalogue or index.catalogue
    return deployment.bind(settings.index, catalogue=catalogue, bundle_fingerprint=index.fingerprint)
