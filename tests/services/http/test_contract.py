"""Every operation of `openapi.json`, asked at random within what it says and beyond, answers as it says."""

from collections.abc import Sequence

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import positive_data_acceptance

from fromage_model.prompts.messages import Finished, Retrieval, TextDelta
from services.deployments.retrieval import ProductShelf
from services.http.access.keys import StoredKey, digest_of
from services.http.access.options import AccessOptions
from services.products import Embedded
from tests.services.http.chatting import data_url
from tests.services.http.colours import ColourLlm, client_over, unit
from tests.services.peers import Standing

KEY = "a-key"
SHOWS = (TextDelta("Look: "), Retrieval(unit("red"), 6), Finished("stop", 3, 4))
URLS = (
    data_url(),
    data_url(format="JPEG"),
    data_url(format="WEBP"),
    "data:image/png;base64,AAAA",
    "https://a.example/",
)
JUDGED = ("/v1/chat/completions", "/v1/search", "/v1/embeddings", "/v1/captions", "/", "/k/{key}")
"""No form can say that a picture's bytes will do, a text that may be blank, or a role that is named and not served."""


class AnyWordsLlm(ColourLlm):
    """All texts are red to it."""

    async def embed(self, texts: Sequence[str]) -> list[Embedded]:
        return [Embedded(unit("red"), tokens=1) for _ in texts]


@pytest.fixture(scope="module")
def document(colours: ProductShelf):
    schemathesis.openapi.format("uri", st.sampled_from(URLS))
    access = AccessOptions(keys=StoredKey("all", digest_of(KEY), frozenset({"chat", "admin"})).line())
    app = client_over(colours, AnyWordsLlm(SHOWS), swapping=Standing(), access=access).app
    config = SchemathesisConfig.from_dict({"seed": 12, "auth": {"openapi": {"HTTPBearer": {"bearer": KEY}}}})
    headers = {"authorization": f"Bearer {KEY}"}
    return schemathesis.openapi.from_asgi("/openapi.json", app, config=config, headers=headers)


document_of_app = schemathesis.pytest.from_fixture("document")


@document_of_app.parametrize()
@settings(
    max_examples=10,
    derandomize=True,
    database=None,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
def test_every_operation_answers_as_the_document_says(case: schemathesis.Case):
    excluded = [positive_data_acceptance] if case.operation.path in JUDGED else []
    case.call_and_validate(excluded_checks=excluded)
