"""What recall between names and pictures depends on: the heads trained anew with one thing changed at a time.

Texts are read through the frozen LM once; each variant then trains the two heads from the same start on the training
split, as the warm start of `jobs.finetune` does, and is measured on the held-out split, whose queries are exactly
`A picture of NAME.`. Nothing here is chosen by what it prints: it shows how far each idea goes. Needs WordNet
(`apt-get install wordnet-base`) and, for its row, the catalogue `openclipart` with its features.

    python -m tests.benchmarks.recall_curve --further openclipart
"""

import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro

from fromage_model.build import build_fromage, build_trained_parts
from fromage_model.config import FromageConfig
from fromage_model.fromage import Fromage
from fromage_model.language.precision import default_dtype
from fromage_model.storage.pretrained import DEFAULT_LANGUAGE_MODEL
from jobs.common import metrics
from jobs.finetune.data import TrainingItems, select_items
from jobs.finetune.examples import wording
from jobs.finetune.examples.examples import Mix, Phrases, Sampler, named
from jobs.finetune.examples.glosses import DEFAULT_FOLDER, Glosses
from jobs.finetune.examples.replies import write_replies
from jobs.finetune.settings import FinetuneArgs
from jobs.finetune.step import FinetuneStep, StepWeights
from jobs.finetune.warm_start.heads import Material, WarmStart, read_material, train_heads
from jobs.finetune.warm_start.states import Texts, read_texts


@dataclass(frozen=True)
class Args:
    """Compare ways to train the heads."""

    catalogue: str = "openmoji"
    """Catalogue to train on and to measure by: a name or a folder."""
    features: str | None = None
    """Its features: a name or a folder; the catalogue's name by default."""
    language_model: str = DEFAULT_LANGUAGE_MODEL
    """LM: a name or a folder."""
    layers: tuple[int, int] = (-1, 24)
    """The two layers of the LM that are read."""
    glosses: Path = DEFAULT_FOLDER
    """Folder of WordNet's files."""
    further: tuple[str, ...] = ()
    """Further catalogues that lend pictures; their row is left out without any."""
    steps: int = 600
    """Training steps of each variant."""
    seeds: int = 2
    """Runs of each variant; their mean is reported."""
    phrasings: int = 4
    """Texts read for each item."""
    dictionary_pairs: int = 3000
    """WordNet names and definitions read."""
    reply_tokens: int = 24
    """Longest own reply of the LM to small talk, in tokens; some conversations begin with one."""
    threads: int = 2
    """Torch threads."""


@dataclass(frozen=True)
class Variant:
    """One change to the reference: of its settings, its material, or the heads themselves, which read both layers."""

    name: str
    settings: dict[str, float] = dataclasses.field(default_factory=dict)
    material: Callable[[Material], Material] = lambda material: material
    layers: tuple[int, ...] | None = None
    width: int = 256
    dropout: float = 0.4


def variants(layers: tuple[int, int], *, further: bool) -> list[Variant]:
    """The reference first."""
    own = [] if not further else [Variant("without further pictures", material=_own_alone)]
    return [
        Variant("as jobs.finetune does it"),
        *own,
        Variant("names alone: no tags, no wishes", material=_names_alone),
        Variant("no dictionary", material=lambda material: dataclasses.replace(material, dictionary=None)),
        Variant("wordings not drawn to names", settings={"names": 0.0}),
        Variant("no noise", settings={"noise": 0.0}),
        Variant("twice the noise", settings={"noise": 0.6}),
        Variant("no dropout", dropout=0.0),
        Variant("no weight decay", settings={"weight_decay": 0.0}),
        Variant("ten times the weight decay", settings={"weight_decay": 1.0}),
        Variant("siblings as strangers", settings={"sibling": 0.0}),
        Variant("siblings as the item itself", settings={"sibling": 1.0}),
        *(Variant(f"layer {layer} alone", layers=(layer,)) for layer in layers),
        Variant("shared width 64", width=64),
        Variant("shared width 1024", width=1024),
    ]


def main(args: Args) -> dict:
    """-> what the JSON line says."""
    torch.set_num_threads(args.threads)
    data = select_items(FinetuneArgs(catalogue=args.catalogue, features=args.features, further_catalogues=args.further))
    config = FromageConfig(language_model=args.language_model, text_layers=args.layers, two_ret_rows=True)
    model = build_fromage(config, feature_width=data.features.info.width, device="cpu", dtype=default_dtype("cpu"))
    model.trained.standardise.fit(torch.from_numpy(data.vectors))
    glosses = Glosses(args.glosses)
    step = FinetuneStep(model, _sampler(model, data, glosses, reply_tokens=args.reply_tokens), StepWeights())
    held_out = [item for item in data.held_out_items if item.caption]
    names = [item.caption or "" for item in held_out]
    pairs = glosses.pairs(args.dictionary_pairs, without=names)
    warm = WarmStart(steps=args.steps, phrasings=args.phrasings)
    material = read_material(step, step.sampler, warm, dictionary=pairs)
    queries = read_texts(step, [named(name) for name in names], what="queries")
    pictures = torch.from_numpy(data.features.of([item.id for item in held_out]))
    rows = []
    for variant in variants(args.layers, further=bool(args.further)):
        runs = [_run(model, variant, material, warm, queries, pictures, seed=seed) for seed in range(args.seeds)]
        mean = {key: round(sum(run[key] for run in runs) / len(runs), 1) for key in runs[0]}
        rows.append({"variant": variant.name, **mean})
        print(f"{variant.name:<34}" + "".join(f"{value:>8.1f}" for value in mean.values()), flush=True)
    return {"held_out": len(names), "seeds": args.seeds, "steps": args.steps, "text_to_image": rows}


def _run(
    model: Fromage,
    variant: Variant,
    material: Material,
    warm: WarmStart,
    queries: Texts,
    pictures: torch.Tensor,
    *,
    seed: int,
) -> dict[str, float]:
    """Fresh heads, trained and measured."""
    torch.manual_seed(seed)
    statistics = model.trained.standardise.state_dict()
    read = model.config.text_layers
    layers = variant.layers or read
    config = dataclasses.replace(model.config, shared_width=variant.width, text_layers=layers)
    model.lm.give_states_of(layers)
    fresh = build_trained_parts(config, model.lm, feature_width=pictures.shape[1], dropout=variant.dropout)
    fresh.standardise.load_state_dict(statistics)
    model.trained = fresh
    chosen = [read.index(layer) for layer in layers]
    settings = dataclasses.replace(warm, seed=seed, **variant.settings)
    train_heads(model, _of_layers(variant.material(material), chosen), settings)
    with torch.inference_mode():
        texts = fresh.text_head([queries.at_ret[layer] for layer in chosen]).numpy()
        images = model.image_embeddings(pictures).numpy()
    return metrics.text_to_image(texts, images).to_json()


def _sampler(model: Fromage, data: TrainingItems, glosses: Glosses, *, reply_tokens: int) -> Sampler:
    return Sampler(
        data.items,
        data.vectors,
        own_items=data.own,
        phrases=Phrases(data.items, glosses),
        exchanges=write_replies(model, wording.small_talk(), max_new_tokens=reply_tokens),
        mix=Mix(),
        batch_size=min(64, data.own),
        caption_batch_size=0,
        talk_batch_size=0,
        seed=0,
    )


def _of_layers(material: Material, chosen: Sequence[int]) -> Material:
    pairs = material.dictionary
    return dataclasses.replace(
        material,
        texts=_take(material.texts, chosen),
        names=_take(material.names, chosen),
        dictionary=None if pairs is None else (_take(pairs[0], chosen), _take(pairs[1], chosen)),
    )


def _take(texts: Texts, chosen: Sequence[int]) -> Texts:
    return dataclasses.replace(texts, at_ret=[texts.at_ret[layer] for layer in chosen])


def _names_alone(material: Material) -> Material:
    return dataclasses.replace(material, texts=material.names, text_items=list(range(len(material.groups))))


def _own_alone(material: Material) -> Material:
    return dataclasses.replace(material, groups=material.groups[: material.own_items])


if __name__ == "__main__":
    print(json.dumps(main(tyro.cli(Args))))
