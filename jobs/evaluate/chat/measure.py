"""The chat measured on a quality set: who asks what, in which order, and whose figures are put together."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fromage_model.catalogue import Catalogue, Item
from fromage_model.errors import CatalogueError, FingerprintMismatch, FromageError, MissingArtefact
from fromage_model.index import DEFAULT_TEXT_WEIGHT
from fromage_model.storage.artefacts import locate
from fromage_model.vision.images import decode_image
from jobs.common.durable.publish import write_json
from jobs.common.reporting.report import ray_session
from jobs.common.stages.workers import name_for_workers, threads_each
from jobs.evaluate.chat import baselines, likeness, messages, telling, turns
from jobs.evaluate.chat.questions import Answer, Question
from jobs.evaluate.chat.telling import Measured
from jobs.evaluate.options import EvaluateArgs
from jobs.evaluate.sets.quality_set import QualitySet

if TYPE_CHECKING:
    from fromage_model.index import RetrievalIndex

log = logging.getLogger(__name__)


def measure_chat(catalogue: Catalogue, queries: QualitySet, args: EvaluateArgs) -> tuple[int, dict[str, Any]]:
    """The number of questions, and the metrics in shares. The set, and the index's fingerprint, are checked before."""
    items = {item.id: item for item in catalogue.items()}
    queries.check_against([item.caption or "" for item in items.values()])
    queries, left_out = _answerable(queries, list(items.values()))
    index, fingerprint = _index_of(catalogue, args)
    if args.features is not None:
        locate("features", args.features)
    choice = likeness.Choice(items, queries)
    sampled = [] if queries.pictures else messages.pictured_items(catalogue, limit=args.picture_messages)
    gone = gone_pictures(catalogue, [*sampled, *(one.item for one in choice.pictured)])
    sampled = [item for item in sampled if item.id not in gone]
    choice.pictured = [one for one in choice.pictured if one.item.id not in gone]
    questions = [
        *messages.questions_of(queries, sampled),
        *turns.questions_of(queries),
        *likeness.questions_of(choice.pictured),
    ]
    with ray_session():
        answers = _ask(questions, args, index=args.index or catalogue.name)
        answering = turns.Answering(items, queries)
        asked = turns.turns_of(answers, queries)
        measured = Measured(queries, items, answers, asked, answering, choice)
        metrics = _scores(measured, sampled=bool(sampled))
        if args.baselines:
            metrics["baselines"] = _baselines(measured, catalogue, index, args)
    if args.verbose:
        print(telling.table_of(measured))
    print("\n".join(telling.summary_of(metrics)))
    if args.details:
        write_json(args.details, telling.details_of(measured))
    decoding: dict[str, Any] = {
        "max_new_tokens": args.max_new_tokens,
        "repetition_penalty": args.repetition_penalty,
        "said_filters": args.said_filters,
    }
    if index.info.sentences is not None:
        decoding["text_weight"] = DEFAULT_TEXT_WEIGHT if args.text_weight is None else args.text_weight
    told = {"left_out": left_out} if left_out else {}
    told |= {"pictures_gone": len(gone)} if gone else {}
    return len(questions), {**metrics, **told, **decoding, "fingerprint": fingerprint}


def _answerable(queries: QualitySet, items: Sequence[Item]) -> tuple[QualitySet, int]:
    """The set without the wishes that no item would answer, and how many these are."""
    missing = set(queries.unanswerable(items))
    if missing:
        log.warning("%d wishes are not asked, for no item of the catalogue answers them: %s", len(missing), missing)
    return replace(queries, wishes=tuple(wish for wish in queries.wishes if wish.text not in missing)), len(missing)


def gone_pictures(catalogue: Catalogue, items: Sequence[Item]) -> set[str]:
    """The ids of those items whose pictures can't be asked about; the log says why."""
    gone = set()
    for item in items:
        try:
            decode_image(catalogue.image_bytes(item.id))
        except (OSError, FromageError) as error:
            log.warning("nothing is asked about the picture of %s: %s", item.id, error)
            gone.add(item.id)
    return gone


def _index_of(catalogue: Catalogue, args: EvaluateArgs) -> tuple["RetrievalIndex", str]:
    """The index, and the fingerprint of the bundle that made it. Raises FingerprintMismatch, and as `check_bundle`."""
    from fromage_model.bundle import check_bundle
    from fromage_model.index import RetrievalIndex

    name = args.index or catalogue.name
    fingerprint = check_bundle(args.bundle)[1]
    index = RetrievalIndex.load(name, fingerprint=fingerprint)
    if index.info.catalogue_fingerprint != catalogue.fingerprint:
        raise FingerprintMismatch(
            f"the index {name} is of another state of {catalogue.name}; `python -m jobs.index` brings it up to date",
            expected=catalogue.fingerprint,
            found=index.info.catalogue_fingerprint or "of none that is known",
        )
    return index, fingerprint


def _ask(questions: Sequence[Question], args: EvaluateArgs, *, index: str) -> list[Answer]:
    from jobs.evaluate.chat.asking import Asking, ask

    asking = Asking(
        bundle=name_for_workers("bundle", args.bundle),
        index=name_for_workers("index", index),
        catalogue=name_for_workers("catalogue", args.catalogue),
        sees_pictures=any(question.item_id for question in questions),
        max_new_tokens=args.max_new_tokens,
        repetition_penalty=args.repetition_penalty,
        said_filters=args.said_filters,
        text_weight=args.text_weight,
        threads=threads_each(args.workers, threads=args.threads),
    )
    return ask(questions, asking=asking, workers=args.workers)


def _scores(measured: Measured, *, sampled: bool) -> dict[str, Any]:
    metrics = messages.score_messages(measured.answers, measured.queries, measured.items)
    if measured.asked:
        metrics["turns"] = turns.score(measured.asked, measured.answering)
    if sampled:
        metrics["pictures"] = messages.score_pictures(measured.answers, measured.items)
    if measured.choice.pictured:
        metrics["pictures"] = likeness.score_likes(measured.answers, measured.choice)
        metrics["what_is_this"] = likeness.score_names(measured.answers, measured.choice, measured.queries)
    return metrics


def _baselines(measured: Measured, catalogue: Catalogue, index: "RetrievalIndex", args: EvaluateArgs) -> dict[str, Any]:
    """Needs a Ray that runs. One that something is missing for is left out, and the log says why."""
    later = baselines.later_turns(measured.asked, measured.answering)
    found: dict[str, Any] = {}
    if later:
        answers = _ask(baselines.last_turn_questions(later), args, index=args.index or catalogue.name)
        found["last_turn_only"] = baselines.score_last_turns(answers, later, measured.answering)
    for name, space in _spaces(measured, index, args).items():
        found[name] = baselines.score_texts(space, measured.queries, measured.items, later, measured.answering)
    if measured.choice.pictured:
        found |= _features(measured, catalogue, args)
    return found


def _spaces(measured: Measured, index: "RetrievalIndex", args: EvaluateArgs) -> dict[str, baselines.Space]:
    from fromage_model.language.sentences import SentenceEncoder
    from fromage_model.storage.pretrained import DEFAULT_SENTENCE_ENCODER
    from jobs.common.embeddings.texts import text_embeddings

    threads = threads_each(args.workers, threads=args.threads)
    bundle = name_for_workers("bundle", args.bundle)
    spaces = {
        "raw_text": baselines.Space(
            index.ids,
            index.vectors,
            lambda texts: text_embeddings(texts, bundle=bundle, workers=args.workers, threads=threads),
        )
    }
    try:
        encoder = SentenceEncoder.open(DEFAULT_SENTENCE_ENCODER)
    except MissingArtefact as error:
        log.warning("the baseline sentence_encoder is left out: %s", error)
        return spaces
    captioned = [item for item in measured.items.values() if item.caption]
    vectors = encoder([item.caption or "" for item in captioned])
    spaces["sentence_encoder"] = baselines.Space([item.id for item in captioned], vectors, encoder)
    return spaces


def _features(measured: Measured, catalogue: Catalogue, args: EvaluateArgs) -> dict[str, Any]:
    from fromage_model.catalogue.features import read_features

    try:
        features = read_features(args.features or catalogue.name)
    except (MissingArtefact, CatalogueError) as error:
        log.warning("the baseline picture_features is left out: %s", error)
        return {}
    return {"picture_features": baselines.score_features(features.ids, features.vectors, measured.choice)}
