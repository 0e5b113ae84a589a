"""A small world for jobs: an LM of two layers, an untrained bundle over it, a catalogue of squares, its features."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from fromage_model.build import build_fromage
from fromage_model.bundle import save_bundle
from fromage_model.catalogue import SCHEMA, Catalogue
from fromage_model.catalogue.features import FeaturesInfo, write_features
from fromage_model.catalogue.table import write_catalogue
from fromage_model.config import FromageConfig
from fromage_model.storage.artefacts import writing
from fromage_model.storage.pretrained import DEFAULT_VISION_ENCODER
from fromage_model.vision.encoders import load_vision_encoder
from tests.pictures import write_png

FEATURE_WIDTH = 1280
COLOURS = ("red", "green", "blue", "white", "black", "navy", "teal", "olive", "gray", "pink", "gold", "lime")
ARTEFACT, FOOD, ABSTRACT = 6, 13, 9
SENSES = (
    ("boot", ARTEFACT, 'footwear that covers the whole foot and lower leg; "she wore boots"'),
    ("top hat", ARTEFACT, "a man's hat with a tall crown; usually covered with silk"),
    ("scarf", ARTEFACT, "a garment worn around the head or neck"),
    ("bread", FOOD, "food made from dough"),
    ("hope", ABSTRACT, "a general feeling"),
)
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def write_lm(folder: Path) -> Path:
    """A LLaMA of two layers with random weights and a byte-level tokenizer."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(["A picture of a square.", "Do you have a red square?"], trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>", chat_template=TEMPLATE)
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(fast),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        initializer_range=0.3,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def write_bundle(folder: Path, *, lm: Path, seed: int = 0) -> Path:
    """An untrained bundle over `lm` and the default vision encoder."""
    config = FromageConfig(language_model=str(lm), visual_tokens=2, shared_width=16)
    model = build_fromage(config, feature_width=FEATURE_WIDTH, dtype=torch.float32, seed=seed)
    encoder = load_vision_encoder(DEFAULT_VISION_ENCODER)
    save_bundle(
        model, folder, feature_width=FEATURE_WIDTH, encoder_fingerprint=encoder.fingerprint, lineage={"untrained": True}
    )
    return folder


def write_squares(
    folder: Path,
    *,
    colours: Sequence[str] = COLOURS,
    held_out: int = 4,
    captions: Mapping[str, str | None] = MappingProxyType({}),
) -> Catalogue:
    """A catalogue of one square in each colour; the first `held_out` are held out, two neighbours are siblings.

    `captions` replace `COLOUR square` for some colours.
    """
    rows = []
    with writing(folder) as scratch:
        for number, colour in enumerate(colours):
            picture = write_png(scratch / "images" / f"{colour}.png", colour, side_px=32).read_bytes()
            rows.append(
                {
                    "id": sha256(colour.encode()).hexdigest()[:32],
                    "image": f"images/{colour}.png",
                    "image_sha256": sha256(picture).hexdigest(),
                    "source": "test",
                    "caption": captions.get(colour, f"{colour} square"),
                    "attributes": {"tags": "square, flat", "subgroup": "dark" if number % 2 else "bright"},
                    "group": f"pair {number // 2}",
                    "split": "held-out" if number < held_out else "train",
                    "updated_at": datetime(2026, 1, 1, tzinfo=UTC),
                }
            )
        table = pa.Table.from_pylist(rows, schema=SCHEMA)
        write_catalogue(scratch, table=table, failures=[], info={"name": folder.name})
    return Catalogue.open(folder)


def write_random_features(
    folder: Path, catalogue: Catalogue, *, without: int = 0, encoder_fingerprint: str | None = None
) -> Path:
    """Features drawn at random for every item but the last `without`; they name the default encoder."""
    ids = catalogue.table["id"].to_pylist()[: len(catalogue) - without]
    info = FeaturesInfo(
        encoder=DEFAULT_VISION_ENCODER,
        encoder_fingerprint=encoder_fingerprint or load_vision_encoder(DEFAULT_VISION_ENCODER).fingerprint,
        catalogue=catalogue.name,
        catalogue_fingerprint=catalogue.fingerprint,
        rows=len(ids),
        failed=without,
        width=FEATURE_WIDTH,
    )
    vectors = np.random.default_rng(1).normal(size=(len(ids), FEATURE_WIDTH)).astype(np.float32)
    with writing(folder) as scratch:
        write_features(scratch, ids=ids, vectors=vectors, info=info)
    return folder


def write_wordnet(folder: Path) -> Path:
    """A WordNet of five nouns; `boot` has a second sense, which comes after its first."""
    data, index = "", "  1 This is a licence.\n"
    for name, file, gloss in SENSES:
        lemma = name.replace(" ", "_")
        offset = len(data.encode())
        data += f"{offset:08d} {file:02d} n 01 {lemma} 0 000 | {gloss}  \n"
        others = " 99999999" if name == "boot" else ""
        index += f"{lemma} n 1 1 @ {1 + bool(others)} 1 {offset:08d}{others}  \n"
    folder.mkdir(parents=True)
    (folder / "data.noun").write_text(data)
    (folder / "index.noun").write_text(index)
    return folder
