"""What the HTTP face is told when it is made: which model answers, and within which limits."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.answering.conversation import ChatDefaults, ChatLimits
from services.http.access.options import AccessOptions
from services.http.bodies import BodyLimits
from services.http.errors import UnknownModel

WEB = Path(__file__).parent / "web"


@dataclass(frozen=True)
class ServedModel:
    """The bundle that answers. `id`: its name at `/v1/models`. `created`: seconds since 1970."""

    id: str
    fingerprint: str
    created: int

    def as_json(self) -> dict[str, Any]:
        return {"id": self.id, "object": "model", "created": self.created, "owned_by": "fromage"}

    def check(self, asked: str | None) -> None:
        """Raises UnknownModel; a client that names no model, or `default`, gets this one."""
        if asked not in (None, "default", self.id):
            raise UnknownModel(f"the model {asked!r} does not exist; this server has {self.id!r}", field="model")


@dataclass(frozen=True)
class HttpOptions:
    """`body`: of a request. `answer_request_id`: false where the server in front of the app does it.
    `access`: who may ask; by itself anyone, without a key. `public_url`: what clients call this server, where that is
    not what reaches it. `original_cookie`: whether `POST /` remembers conversations in a cookie.
    """

    limits: ChatLimits = ChatLimits()
    defaults: ChatDefaults = ChatDefaults()
    body: BodyLimits = BodyLimits()
    answer_request_id: bool = True
    public_url: str | None = None
    access: AccessOptions = AccessOptions(without_keys=True)
    original_cookie: bool = False
    web: Path = WEB
