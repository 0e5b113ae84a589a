"""A real catalogue and index of coloured pictures, whose shared space is colour, behind a scripted LM.

A picture's embedding is its mean colour, and a text's the colour that it names: searches have answers one can see.
"""

import hashlib
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from fastapi.testclient import TestClient
from PIL import Image, ImageColor

from fromage_model.catalogue import SCHEMA, Catalogue
from fromage_model.catalogue.table import write_catalogue
from fromage_model.errors import InvalidInput
from fromage_model.index import RetrievalIndex
from fromage_model.prompts.messages import Sampling
from fromage_model.storage.artefacts import writing
from services.answering.engine import ChatEngine
from services.deployments.retrieval import ProductShelf
from services.deployments.thumbnails import Thumbnails
from services.http.app import create_http_app
from services.http.options import HttpOptions
from services.products import Caption, Embedded
from tests.services.peers import MODEL, PictureReader, ScriptedLlm, Standing

ODD_ID = "shoes/été 50%/image"
ITEMS = {
    "red": ("red", "Ada", {"price": "19.90 EUR", "new": "true"}, "https://shop.example/red"),
    "green": ("lime", "Bob", {"price": "1,250"}, None),
    "blue": ("blue", "Ada", {"price": "49"}, "javascript:alert(1)"),
    ODD_ID: ("yellow", None, {}, "https://shop.example/yellow"),
}
SIDE_PX = 300


def unit(colour: str) -> np.ndarray:
    vector = np.array(ImageColor.getrgb(colour), dtype=np.float32)
    return vector / np.linalg.norm(vector)


def drawn(colour: str) -> bytes:
    """A PNG whose right half is transparent."""
    file = io.BytesIO()
    image = Image.new("RGBA", (SIDE_PX, SIDE_PX), (0, 0, 0, 0))
    image.paste(Image.new("RGBA", (SIDE_PX // 2, SIDE_PX), colour))
    image.save(file, "PNG")
    return file.getvalue()


def open_shelf(place: Path) -> ProductShelf:
    """The four items. The picture of the blue one is missing."""
    rows = [_row(id, *said) for id, said in ITEMS.items()]
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    with writing(place / "colours") as folder:
        (folder / "images").mkdir()
        for row in rows:
            if row["id"] != "blue":
                (folder / row["image"]).write_bytes(drawn(ITEMS[row["id"]][0]))
        write_catalogue(folder, table=table, failures=[], info={"name": "colours"})
    vectors = np.stack([unit(colour) for colour, *_ in ITEMS.values()])
    index = RetrievalIndex.build(vectors, table, fingerprint="abc", catalogue="colours")
    return ProductShelf(index, Catalogue.open(place / "colours"), Thumbnails(max_bytes=1 << 20))


def _row(id: str, colour: str, brand: str | None, attributes: dict[str, str], link: str | None) -> dict[str, Any]:
    return {
        "id": id,
        "image": f"images/{colour}.png",
        "image_sha256": hashlib.sha256(drawn(colour)).hexdigest(),
        "source": "test",
        "caption": f"a {colour} square",
        "item_url": link,
        "brand": brand,
        "attributes": list(attributes.items()),
        "group": colour,
        "split": "train",
        "updated_at": datetime(2026, 1, 1, tzinfo=UTC),
    }


class OpenShelf:
    """The shelf as the engine asks it, without Ray."""

    def __init__(self, shelf: ProductShelf):
        self._shelf = shelf

    async def ping(self) -> None:
        """Answers."""

    def __getattr__(self, name: str) -> Any:
        async def answer(*args: Any, **options: Any) -> Any:
            return getattr(self._shelf, name)(*args, **options)

        return answer


class ColourLlm(ScriptedLlm):
    """Knows colours by their names; what it reads of a text are its words."""

    async def embed(self, texts: Sequence[str]) -> list[Embedded]:
        for place, text in enumerate(texts):
            if text.split()[-1] not in ImageColor.colormap:
                raise InvalidInput("this LM knows colours only", field=str(place))
        return [Embedded(unit(text.split()[-1]), tokens=len(text.split())) for text in texts]

    async def embed_pictures(self, features: np.ndarray) -> np.ndarray:
        return features / np.linalg.norm(features, axis=1, keepdims=True)

    async def captions(self, features: np.ndarray, *, prompt: str | None, sampling: Sampling) -> list[Caption]:
        self.sampling = sampling
        return [Caption(f"{prompt or 'A picture of'} {row.argmax()}", 5, 3) for row in features]


def client_over(
    shelf: ProductShelf, llm: ColourLlm | None = None, *, swapping: Standing | None = None, **options: Any
) -> TestClient:
    http = HttpOptions(**options)
    engine = ChatEngine(encoder=PictureReader(http.limits.image), llm=llm or ColourLlm(), retriever=OpenShelf(shelf))
    app = create_http_app(engine, MODEL, http, swapping=swapping)
    return TestClient(app, raise_server_exceptions=False)
