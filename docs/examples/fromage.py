"""FROMAGe in a notebook's worth of lines: pictures and text in, text and items out, and how likely an answer is.

    .venv/bin/python docs/examples/fromage.py [BUNDLE]

BUNDLE is a bundle's name or folder, by default the shipped one. The catalogue is four pictures drawn here.
"""

import sys
from datetime import UTC, datetime

import pyarrow as pa
from PIL import Image, ImageDraw

from fromage_model import load_bundle
from fromage_model.catalogue import SCHEMA
from fromage_model.index import RetrievalIndex
from fromage_model.interop import RET, generate_for_images_and_texts
from fromage_model.model.scores import answer_log_likelihoods, prompt_log_likelihoods


def drawn(shape: str, colour: str) -> Image.Image:
    """A filled `ellipse` or `rectangle` on white."""
    picture = Image.new("RGB", (224, 224), "white")
    getattr(ImageDraw.Draw(picture), shape)((40, 40, 184, 184), fill=colour)
    return picture


def index_of(model, pictures: dict[str, Image.Image]) -> RetrievalIndex:
    """The model's own retrieval embeddings of the pictures, searchable by a [RET]'s."""
    vectors = model.image_embeddings(model.encode(list(pictures.values()))).numpy()
    said = {"source": "drawn", "split": "train", "updated_at": datetime.now(UTC)}
    rows = [
        said | {"id": name, "image": f"{name}.png", "image_sha256": "", "caption": name, "group": name}
        for name in pictures
    ]
    items = pa.Table.from_pylist(rows, schema=SCHEMA)
    return RetrievalIndex.build(vectors, items, fingerprint=model.fingerprint, catalogue="drawn")


def main(bundle: str = "default") -> None:
    model = load_bundle(bundle)
    pictures = {
        f"{colour} {shape}": drawn(shape, colour) for colour in ("red", "blue") for shape in ("ellipse", "rectangle")
    }
    model.index = index_of(model, pictures)
    red = pictures["red ellipse"]

    # A conversation, through the LM's chat template: [RET] is asked for, and the two nearest items stand in the reply.
    reply = model.chat(
        [{"role": "user", "content": [red, "Show me something like this."]}],
        retrieval="always",
        top_k=2,
        max_new_tokens=24,
    )
    print("reply:", reply.text)
    print("products:", [hit.id for products in reply.products for hit in products.hits])

    # The raw interleaved prompt, as the original decodes it: tokens, one [RET] at most, one item for it.
    written = generate_for_images_and_texts(
        model, [red, model.config.caption_prompt], num_words=16, ret_scale_factor=1.3
    )
    print("written:", [part if isinstance(part, str) else [hit.id for hit in part] for part in written])

    # A prompt that already ends in [RET]: nothing is written, the items are looked up.
    text, hits = generate_for_images_and_texts(model, [red, "but blue", RET], num_words=0, max_img_per_ret=3)
    print("retrieved:", text, [(hit.id, round(hit.score, 3)) for hit in hits])

    # How likely a whole prompt is, per token, and which answer to a question is the likeliest.
    captions = ["A picture of a red circle.", "A picture of a blue square."]
    print(
        "captions:", dict(zip(captions, prompt_log_likelihoods(model, [[red, one] for one in captions]), strict=True))
    )
    answers = [" yes", " no"]
    scores = answer_log_likelihoods(model, [red, "Q: is it red?\nA:"], answers)
    print("answers:", dict(zip(answers, scores, strict=True)))


if __name__ == "__main__":
    main(*sys.argv[1:])
