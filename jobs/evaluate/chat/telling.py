"""Each answer by itself: a table to read, and the same as JSON."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fromage_model.catalogue import Item
from jobs.evaluate.chat import likeness, turns
from jobs.evaluate.chat.messages import is_hit, is_related
from jobs.evaluate.chat.questions import TOP_K, Answer, of_kind
from jobs.evaluate.sets.quality_set import QualitySet


@dataclass(frozen=True)
class Measured:
    """What was asked and what came, with what is needed to judge it."""

    queries: QualitySet
    items: Mapping[str, Item]
    answers: Sequence[Answer]
    asked: Sequence[turns.Asked]
    answering: turns.Answering
    choice: likeness.Choice


def details_of(measured: Measured) -> list[dict[str, Any]]:
    """Every answer as JSON, a conversation's turn by turn. `hit` is None where nothing in the catalogue is one."""
    return [*_messages(measured), *_turns(measured), *_pictures(measured)]


def table_of(measured: Measured) -> str:
    """Two lines for each answer: what was asked and whether it hit; what came, or what the chat said."""
    lines = []
    for row in details_of(measured):
        if row["kind"] == "picture":
            continue
        verdict = {True: "hit", False: "miss", None: "-"}[row.get("hit")]
        if row["kind"] in ("wish", "like") and not row["products"]:
            verdict = "nothing"
        if row["kind"] == "other" and row["products"]:
            verdict = "products"
        lines.append(f"{row['kind']:<6}{row['retrieval']:<8}{verdict:<10}{row['text']}")
        came = " | ".join(row["products"]) if row["kind"] != "what" else ""
        of = f"({row['picture_of']}) " if "picture_of" in row else ""
        lines.append(f"{'':<24}{of}{came or row['reply']}")
    return "\n".join(lines)


def _messages(measured: Measured) -> Iterator[dict[str, Any]]:
    queries, items = measured.queries, measured.items
    for answer in measured.answers:
        question = answer.question
        if question.kind not in ("wish", "other", "picture"):
            continue
        row: dict[str, Any] = {"kind": question.kind, "retrieval": question.retrieval, "text": question.text}
        if question.kind == "wish":
            wish = queries.wishes[question.about]
            accept = {"accept": wish.accept} if wish.accept else {"by": wish.by}
            row |= accept | {"hit": is_hit(answer, queries, items)}
        if question.kind == "picture":
            row |= {"picture_of": items[question.item_id].caption, "related": is_related(answer, items)}
        yield {**row, "products": _captions(measured, answer.ids), "reply": answer.reply}


def _turns(measured: Measured) -> Iterator[dict[str, Any]]:
    for asked in measured.asked:
        hit = measured.answering.holds(asked) if measured.answering.possible(asked) else None
        row = {"kind": "turn", "retrieval": "auto", "conversation": asked.conversation, "position": asked.position}
        said = {"text": asked.turn.text, "quiet": asked.turn.must is None, "hit": hit}
        yield {**row, **said, "products": _captions(measured, asked.came), "reply": asked.reply}


def _pictures(measured: Measured) -> Iterator[dict[str, Any]]:
    known = {(one.about, one.item.id): one for one in measured.choice.pictured}
    for answer in [*of_kind(measured.answers, "like"), *of_kind(measured.answers, "what")]:
        question = answer.question
        one = known[question.about, question.item_id]
        row: dict[str, Any] = {"kind": question.kind, "retrieval": question.retrieval, "text": question.text}
        row["picture_of"] = one.item.caption
        if question.kind == "like":
            row["hit"] = any(measured.choice.answers(one, id) for id in answer.ids[:TOP_K])
        else:
            wanted = likeness.to_name(one, measured.queries)
            row["named"] = {name: likeness.names(answer.reply, words) for name, words in wanted.items()}
            row["hit"] = all(row["named"].values())
        yield {**row, "products": _captions(measured, answer.ids), "reply": answer.reply}


def _captions(measured: Measured, ids: tuple[str, ...]) -> list[str]:
    return [measured.items[id].caption or "" for id in ids[:TOP_K]]
