"""What weights and inputs of fewer bits cost in quality: perplexity on English prose, and recall at [RET].

The prose is the language reference that Python's standard library carries (`pydoc_data.topics`, PSF licence), some
topics' beginnings, read by the lean prefill. Recall is that of `jobs.evaluate`: held-out names among held-out pictures.
Every way reads the same texts by the same weights, before they are laid out; where few bits serve few rows alone, they
are made to serve all.

    python -m tests.benchmarks.quantization
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pydoc_data.topics import topics

import numpy as np
import torch
import tyro
from torch import Tensor
from torch.nn import functional as F

from fromage_model.bundle import load_bundle
from fromage_model.catalogue import Catalogue
from fromage_model.fromage import Fromage
from fromage_model.language.lean.decoder import LeanDecoder
from fromage_model.language.lean.products import Quantize
from fromage_model.language.lean.weights import LeanWeights
from fromage_model.prompts.segments import raw_prompt
from jobs.common.embeddings.pictures import image_embeddings
from jobs.evaluate import recall


@dataclass(frozen=True)
class Args:
    """Compare an LM's weights in fewer bits with its own."""

    bundle: str = "openmoji"
    """Bundle whose LM is measured: a name, a folder, or a URI."""
    catalogue: str | None = "openmoji"
    """Catalogue whose held-out items are asked for; recall is left out with none."""
    features: str | None = None
    """Its features: a name or a folder; the catalogue's name by default."""
    texts: int = 16
    """Topics that are read."""
    tokens: int = 512
    """Tokens of each that are read."""
    queries: int = 200
    """Items that are asked for, at most."""
    threads: int = 2
    """Torch threads."""


@dataclass(frozen=True)
class Way:
    """One way to lay the weights out; with `few_rows` of 0 none that came in few bits lie so."""

    name: str
    quantize: Quantize = "none"
    few_rows: int = 0


ALL = 2**31
WAYS = (
    Way("none"),
    Way("few bits at all rows", few_rows=ALL),
    Way("int8", "int8"),
    Way("int4", "int4", few_rows=ALL),
)


@dataclass(frozen=True)
class Reading:
    """Of the prose: `surprises` in nats and the likeliest next token at each position, (N,)."""

    surprises: Tensor
    chosen: Tensor


def prose(model: Fromage, args: Args) -> list[list[int]]:
    """Ids of the first topics that are long enough."""
    texts = (model.tokens.encode(text)[: args.tokens] for _, text in sorted(topics.items()))
    return [ids for ids in texts if len(ids) == args.tokens][: args.texts]


def read(model: Fromage, weights: LeanWeights, texts: Sequence[Sequence[int]]) -> Reading:
    surprises, chosen = [], []
    for ids in texts:
        tokens = torch.tensor(ids)
        decoder = LeanDecoder(weights, slots=1)
        last = decoder.prefill(decoder.join(), model.lm.embed(tokens), every=True).last
        logits = weights.logits(last[:-1]).float()
        surprises.append(F.cross_entropy(logits, tokens[1:], reduction="none"))
        chosen.append(logits.argmax(-1))
    return Reading(torch.cat(surprises), torch.cat(chosen))


def ask(model: Fromage, weights: LeanWeights, queries: Sequence[str]) -> np.ndarray:
    """(N, S) at [RET] after each query."""
    decoder = LeanDecoder(weights, slots=1)
    found = []
    for query in queries:
        prompt = model.embed_prompts([[*raw_prompt([query], model.tokens), [model.tokens.ret_id]]])
        row = decoder.join()
        found.append(model.trained.text_head(decoder.prefill(row, prompt.embeddings[0]).layers).float())
        decoder.leave(row)
    return torch.cat(found).numpy()


@torch.inference_mode()
def main(args: Args) -> dict:
    """-> what the JSON line says."""
    torch.set_num_threads(args.threads)
    model = load_bundle(args.bundle, vision=False)
    texts = prose(model, args)
    print(f"{len(texts)} topics, {args.tokens} tokens of each, {model.lm.dtype}; recall in percent")
    print(f"{'':<22}{'MB':>8}{'perplexity':>12}{'same choice':>13}{'R@1':>8}{'R@5':>8}{'R@10':>8}")
    figures: dict[str, dict[str, float]] = {}
    reference: Reading | None = None
    for way, weights in _laid_out(model):
        reading = read(model, weights, texts)
        reference = reference or reading
        figures[way.name] = {
            "mb": weights.weight_bytes / 1e6,
            "perplexity": math.exp(reading.surprises.mean()),
            "same_choice": float((reading.chosen == reference.chosen).double().mean()),
        } | _recalls(model, weights, args)
        cells = "".join(f"{value:8.1f}" for name, value in figures[way.name].items() if name.startswith("r_at"))
        row = figures[way.name]
        print(f"{way.name:<22}{row['mb']:8.1f}{row['perplexity']:12.3f}{row['same_choice']:13.4f}{cells}", flush=True)
    return figures


def _laid_out(model: Fromage) -> Iterator[tuple[Way, LeanWeights]]:
    for way in WAYS:
        yield way, LeanWeights(model.lm, quantize=way.quantize, few_rows=way.few_rows)


def _recalls(model: Fromage, weights: LeanWeights, args: Args) -> dict[str, float]:
    if args.catalogue is None:
        return {}
    catalogue = Catalogue.open(args.catalogue)
    pictures = image_embeddings(catalogue, bundle=args.bundle, features=args.features)
    rows = recall.split_rows(catalogue, "held-out", embedded=pictures.ids)[: args.queries]
    queries = [recall.name_query(catalogue.item(pictures.ids[row])) for row in rows]
    found = recall.recall_on(ask(model, weights, queries), pictures.vectors, rows).text_to_image
    return {f"r_at_{rank}": 100 * at.value for rank, at in found.at.items()}


if __name__ == "__main__":
    print(json.dumps(main(tyro.cli(Args, description=__doc__))))
