"""Every setting of the services, with its unit. Knows nothing of Ray or of models.

A setting comes from the command line (`python -m services --port 8080`), from the arguments of
`serve run services.app:build_app index=shop`, or from the environment (`FROMAGE_INDEX=shop`), in that order.
"""

from functools import cached_property
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from fromage_model.index import DEFAULT_TEXT_WEIGHT
from fromage_model.vision.images import ImageLimits
from services.answering.conversation import ChatDefaults, ChatLimits

MIB = 1024 * 1024
MOST_REPLIES = 64
"""That an LM's replica chooses by itself to decode at once."""
DEPLOYMENTS = ("encoder", "llm", "retrieval", "chat")


class Settings(BaseSettings):
    """What to serve, on what, and within which limits."""

    model_config = SettingsConfigDict(env_prefix="FROMAGE_", extra="forbid", frozen=True)

    bundle: str = Field("default", description="Model bundle: a known name, a folder, or an fsspec URI.")
    index: str = Field("wardrobe", description="Retrieval index: a known name, a folder, or an fsspec URI.")
    catalogue: str | None = Field(None, description="Catalogue with the pictures; without it, the one the index names.")

    host: str = Field("127.0.0.1", description="Address that `python -m services` listens on.")
    port: int = Field(8000, ge=1, le=65535, description="TCP port that `python -m services` listens on.")
    original_cookie: bool = Field(False, description="Whether `POST /` remembers conversations, in a cookie.")
    public_url: str | None = Field(
        None,
        pattern=r"^https?://[^\s()<>]*[^\s()<>/]$",
        description="What clients call this server, as in https://shop.example/chat; without it, what a request says.",
    )
    keys_file: str | None = Field(
        None, description="File of API keys, which `python -m services.keys` writes; read again when it changes."
    )
    keys: str = Field("", description="API keys as that file has them, divided by commas; hashes, not the keys.")
    without_keys: bool = Field(
        False, description="Whether anybody is answered without an API key; else, without keys, this machine alone."
    )
    budget_requests: str = Field(
        "", description="Most POST requests of one key, as in `60/minute; 1000/day`; empty is no bound."
    )
    budget_tokens: str = Field("", description="Most tokens of one key, read and written, in the same form.")
    budget_pictures: str = Field("", description="Most pictures that one key may send, in the same form.")
    budget_storage: str = Field(
        "async+memory://",
        description="Where budgets are counted, as the library `limits` names it; replicas may share one.",
    )
    cors_origins: str = Field(
        "", description="Origins of web pages whose scripts may ask, divided by commas; `*` is any, empty none."
    )

    dashboard: bool = Field(True, description="Whether `python -m services` starts Ray's dashboard.")
    object_store_bytes: int = Field(
        300 * MIB, ge=80 * MIB, description="Shared memory of Ray's object store under `python -m services`, in bytes."
    )

    log_format: Literal["text", "json"] = Field("text", description="Form of a line of the log.")
    log_messages: bool = Field(
        False, description="Whether the log holds what users write and what they are answered, up to 2,000 characters."
    )

    device: str | None = Field(None, description="Device of the models, as in cpu or cuda:1; without it, cuda if any.")

    encoder_replicas: int = Field(1, ge=1, description="Replicas of the encoder deployment.")
    encoder_max_replicas: int = Field(
        0, ge=0, description="Most replicas, where their number follows the load; 0 keeps encoder_replicas."
    )
    encoder_target_requests: float = Field(
        16, gt=0, description="Requests at once for each replica, by which their number follows the load."
    )
    encoder_num_cpus: float = Field(0.1, ge=0, description="CPUs that Ray reserves for an encoder replica.")
    encoder_num_gpus: float = Field(0, ge=0, description="GPUs that Ray reserves for an encoder replica.")
    encoder_threads: int = Field(1, ge=1, description="Threads that torch computes with in an encoder replica.")
    encoder_batch_images: int = Field(8, ge=1, description="Most pictures in one forward of the encoder.")
    encoder_batch_wait_s: float = Field(0.005, ge=0, description="Seconds that a picture waits for others to join it.")
    encoder_cache_images: int = Field(256, ge=0, description="Pictures whose features an encoder replica remembers.")

    llm_replicas: int = Field(1, ge=1, description="Replicas of the LM deployment.")
    llm_max_replicas: int = Field(
        0, ge=0, description="Most replicas, where their number follows the load; 0 keeps llm_replicas."
    )
    llm_target_requests: float = Field(
        8, gt=0, description="Requests at once for each replica, by which their number follows the load."
    )
    llm_num_cpus: float = Field(0.2, ge=0, description="CPUs that Ray reserves for an LM replica.")
    llm_num_gpus: float = Field(0, ge=0, description="GPUs that Ray reserves for an LM replica.")
    llm_threads: int = Field(
        0,
        ge=0,
        description="Threads that torch computes with in an LM replica; 0 is what turns out fastest, on a CPU.",
    )
    llm_spins: int = Field(
        1000,
        ge=0,
        description="Turns that such a thread spins for its next work before it sleeps and leaves its core to others.",
    )
    llm_concurrency: int = Field(
        0,
        ge=0,
        le=1024,
        description="Replies that an LM replica decodes together; 0 chooses by free memory and llm_least_rate.",
    )
    llm_least_rate: float = Field(
        5, gt=0, description="Tokens per second that each reply gets at least, where llm_concurrency is chosen."
    )
    llm_gather_ms: float = Field(
        100, ge=0, le=1000, description="Milliseconds that a reply's text waits for more, after its first piece."
    )
    llm_queue: int = Field(
        16, ge=0, description="Chats that may wait for an LM replica; the next is refused with HTTP 503."
    )
    llm_quantize: Literal["none", "int8", "int4"] = Field(
        "none", description="Bits of the LM's weights; fewer are faster and change what it says a little."
    )
    llm_prefix_mb: int = Field(
        128, ge=0, description="Memory for what earlier turns were read into, so that it is not read again, in MiB."
    )

    retrieval_replicas: int = Field(1, ge=1, description="Replicas of the retrieval deployment.")
    retrieval_max_replicas: int = Field(
        0, ge=0, description="Most replicas, where their number follows the load; 0 keeps retrieval_replicas."
    )
    retrieval_target_requests: float = Field(
        32, gt=0, description="Requests at once for each replica, by which their number follows the load."
    )
    retrieval_num_cpus: float = Field(0.1, ge=0, description="CPUs that Ray reserves for a retrieval replica.")
    retrieval_text_weight: float = Field(
        DEFAULT_TEXT_WEIGHT,
        ge=0,
        le=1,
        description="What words count beside the model, with an index made with --hybrid; 0 does without its encoder.",
    )
    retrieval_thumbnails_mb: int = Field(
        32, ge=0, description="Memory for pictures that a retrieval replica made smaller, in MiB."
    )

    chat_replicas: int = Field(1, ge=1, description="Replicas of the chat deployment, which speaks HTTP.")
    chat_max_replicas: int = Field(
        0, ge=0, description="Most replicas, where their number follows the load; 0 keeps chat_replicas."
    )
    chat_target_requests: float = Field(
        64, gt=0, description="Requests at once for each replica, by which their number follows the load."
    )
    chat_num_cpus: float = Field(0.1, ge=0, description="CPUs that Ray reserves for a chat replica.")

    reply_timeout_s: float = Field(120, gt=0, description="Seconds after which a reply that is not complete is ended.")
    start_timeout_s: float = Field(
        120, gt=0, description="Seconds that `python -m services` waits until every deployment answers."
    )
    drain_timeout_s: float = Field(
        30,
        ge=0,
        description="Seconds that replies being written have to end in, when the server or a replica is to end.",
    )
    health_check_s: float = Field(
        2, gt=0, description="Seconds between two looks at whether a replica still runs; one that does not is replaced."
    )

    max_body_bytes: int = Field(32 * MIB, ge=1024, description="Largest body of a request, in bytes.")
    max_bodies_bytes: int = Field(
        256 * MIB, ge=1024, description="Bodies of requests in memory together in a chat replica, in bytes."
    )
    body_timeout_s: float = Field(60, gt=0, description="Seconds that the body of a request has to come in.")
    max_messages: int = Field(64, ge=1, description="Most messages in one request.")
    max_text_chars: int = Field(8000, ge=1, description="Longest text of one message, in characters.")
    max_images: int = Field(8, ge=0, description="Most pictures in one request.")
    max_inputs: int = Field(64, ge=1, le=2048, description="Most texts and pictures in one request for embeddings.")
    max_image_bytes: int = Field(20 * MIB, ge=1024, description="Largest picture, in bytes of its file.")
    max_image_pixels: int = Field(50_000_000, ge=1, description="Largest picture, in pixels (width x height).")
    remote_images: Literal["off", "public", "any"] = Field(
        "off",
        description="Whether pictures are fetched from http(s) addresses: public ones alone, or any, ours among them.",
    )
    remote_timeout_s: float = Field(10, gt=0, description="Seconds that such a picture has to come in.")
    max_new_tokens: int = Field(1024, ge=1, description="Most tokens that a request may ask for.")

    new_tokens: int = Field(96, ge=1, description="Tokens of a reply at most, when the request does not say.")
    temperature: float = Field(
        0.0, ge=0, le=2, description="Sampling temperature when the request does not say; 0 is greedy."
    )
    repetition_penalty: float = Field(
        1.2,
        gt=0,
        le=2,
        description="Divides the score of tokens already written; 1 is none.",
    )

    @cached_property
    def limits(self) -> ChatLimits:
        return ChatLimits(
            max_messages=self.max_messages,
            max_text_chars=self.max_text_chars,
            max_images=self.max_images,
            max_inputs=self.max_inputs,
            max_new_tokens=self.max_new_tokens,
            image=self.image_limits,
            remote_images=self.remote_images != "off",
        )

    @cached_property
    def image_limits(self) -> ImageLimits:
        return ImageLimits(max_bytes=self.max_image_bytes, max_pixels=self.max_image_pixels)

    @cached_property
    def defaults(self) -> ChatDefaults:
        return ChatDefaults(
            max_new_tokens=min(self.new_tokens, self.max_new_tokens),
            temperature=self.temperature,
            repetition_penalty=self.repetition_penalty,
        )

    @model_validator(mode="after")
    def _max_is_no_less(self) -> Self:
        for name in DEPLOYMENTS:
            least, most = getattr(self, f"{name}_replicas"), getattr(self, f"{name}_max_replicas")
            if 0 < most < least:
                raise ValueError(f"{name}_max_replicas is {most}, but {name}_replicas {least}; {least} or more works")
        return self
