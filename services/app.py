"""The Serve application: four deployments, composed from settings. Nothing is bound at import.

serve run services.app:build_app bundle=default index=wardrobe
"""

import uuid
from typing import Any

from ray.serve import Application

from fromage_model.header import Header, read_header
from fromage_model.index import read_info
from fromage_model.storage.artefacts import locate
from services.answering.pictures import RemoteAccess
from services.deployments.chat import ChatDeployment
from services.deployments.encoder import EncoderDeployment
from services.deployments.llm import LlmDeployment
from services.deployments.retrieval import RetrievalDeployment
from services.deployments.sentences import located
from services.http.access.given import access_of
from services.http.bodies import BodyLimits
from services.http.options import HttpOptions
from services.settings import MIB, MOST_REPLIES, Settings
from services.swapping.board import Board
from services.swapping.pairs import Pair, Wanted, find_index, pair_of
from services.telemetry.logs import logging_config

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
    return compose(settings, Board(uuid.uuid4().hex))


def compose(settings: Settings, board: Board) -> Application:
    """As `build_app`; the replicas tell each other by `board`."""
    wanted = Wanted(bundle=settings.bundle, index=settings.index, catalogue=settings.catalogue)
    header, fingerprint = read_header(locate("bundle", settings.bundle))
    encoder = header.encoder_fingerprint
    pair = pair_of(wanted, fingerprint=fingerprint, encoder=encoder, index=find_index(wanted))
    located(read_info(locate("index", settings.index)), text_weight=settings.retrieval_text_weight)
    chat = ChatDeployment.options(
        **_running(settings, "chat"),
        ray_actor_options={"num_cpus": settings.chat_num_cpus},
        max_ongoing_requests=CHAT_ONGOING_REQUESTS,
        user_config=wanted.model_dump(exclude_none=True),
    )
    return chat.bind(
        _encoder(settings, header),
        _llm(settings, pair, board),
        _retrieval(settings, pair, board),
        pair=pair,
        board=board,
        options=HttpOptions(
            limits=settings.limits,
            defaults=settings.defaults,
            body=BodyLimits(
                settings.max_body_bytes, timeout_s=settings.body_timeout_s, all_bytes=settings.max_bodies_bytes
            ),
            answer_request_id=False,
            public_url=settings.public_url,
            access=access_of(settings),
            original_cookie=settings.original_cookie,
        ),
        reply_timeout_s=settings.reply_timeout_s,
        log_messages=settings.log_messages,
    )


def _encoder(settings: Settings, header: Header) -> Application:
    deployment = EncoderDeployment.options(
        **_running(settings, "encoder"),
        ray_actor_options={"num_cpus": settings.encoder_num_cpus, "num_gpus": settings.encoder_num_gpus},
        max_ongoing_requests=PARALLEL_PICTURES,
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
        remote=_remote(settings),
    )


def _remote(settings: Settings) -> RemoteAccess | None:
    if settings.remote_images == "off":
        return None
    return RemoteAccess(allow_private=settings.remote_images == "any", timeout_s=settings.remote_timeout_s)


def _llm(settings: Settings, pair: Pair, board: Board) -> Application:
    """Its queue is bounded: a chat that would wait for long is better refused at once.

    Chats wait inside a replica, which alone knows how many it decodes at once; here stands the most that can be. Those
    that no replica has taken yet, as while one starts again, are bounded as well.
    """
    deployment = LlmDeployment.options(
        **_running(settings, "llm"),
        ray_actor_options={
            "num_cpus": settings.llm_num_cpus,
            "num_gpus": settings.llm_num_gpus,
            "runtime_env": {"env_vars": {SPINS: str(settings.llm_spins)}},
        },
        max_ongoing_requests=(settings.llm_concurrency or MOST_REPLIES) + settings.llm_queue + REFUSED_AT_ONCE,
        max_queued_requests=settings.llm_queue,
    )
    return deployment.bind(
        pair,
        board,
        device=settings.device,
        threads=settings.llm_threads,
        concurrency=settings.llm_concurrency,
        least_rate=settings.llm_least_rate,
        queue=settings.llm_queue,
        gather_s=settings.llm_gather_ms / 1000,
        quantize=settings.llm_quantize,
        prefix_bytes=settings.llm_prefix_mb * MIB,
    )


def _retrieval(settings: Settings, pair: Pair, board: Board) -> Application:
    deployment = RetrievalDeployment.options(
        **_running(settings, "retrieval"),
        ray_actor_options={"num_cpus": settings.retrieval_num_cpus},
        max_ongoing_requests=PARALLEL_LOOKUPS,
    )
    return deployment.bind(
        pair,
        board,
        thumbnail_bytes=settings.retrieval_thumbnails_mb * MIB,
        idle_s=settings.reply_timeout_s,
        text_weight=settings.retrieval_text_weight,
    )


def _running(settings: Settings, name: str) -> dict[str, Any]:
    """How it logs, how many replicas, how soon a dead one is noticed, how long one that is to go may still answer."""
    least, most = getattr(settings, f"{name}_replicas"), getattr(settings, f"{name}_max_replicas")
    options: dict[str, Any] = {
        "max_constructor_retry_count": START_TRIES,
        "logging_config": logging_config(settings.log_format),
        "health_check_period_s": settings.health_check_s,
        "graceful_shutdown_timeout_s": settings.drain_timeout_s,
        "graceful_shutdown_wait_loop_s": 0.5,
    }
    if not most:
        return options | {"num_replicas": least}
    target = getattr(settings, f"{name}_target_requests")
    scale = {"min_replicas": least, "max_replicas": most, "target_ongoing_requests": target}
    return options | {"autoscaling_config": scale}
