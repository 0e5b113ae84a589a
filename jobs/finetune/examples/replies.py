"""The frozen LM's own replies to training's messages, written once. Knows no training.

They teach [RET] to keep out of plain talk.
"""

import hashlib
from collections.abc import Iterator, Sequence

import torch

from fromage_model.fromage import Fromage
from fromage_model.prompts.messages import Message
from fromage_model.prompts.segments import chat_prompt, token_ids
from jobs.common.reporting.report import Progress
from jobs.finetune.examples.examples import Exchange
from jobs.finetune.examples.wording import small_talk
from jobs.finetune.kept import KeptStates
from jobs.finetune.workers import from_first_worker, gather_objects, rank, world_size

REPLIES_AT_ONCE = 16


def small_talk_exchanges(model: Fromage, *, max_new_tokens: int, kept: KeptStates | None = None) -> list[Exchange]:
    """Small talk with the LM's own replies; with none where these may have 0 tokens."""
    messages = small_talk()
    if max_new_tokens == 0:
        return [Exchange(message, "", ends=False) for message in messages]
    return write_replies(model, messages, max_new_tokens=max_new_tokens, kept=kept)


@torch.inference_mode()
def write_replies(
    model: Fromage, messages: Sequence[str], *, max_new_tokens: int, kept: KeptStates | None = None
) -> list[Exchange]:
    """Greedy replies to single messages; a reply that ends keeps its stop token.

    Several workers share the messages out, and every one gets all replies; those that are `kept` are not written again.
    """
    config, tokens = model.config, model.tokens
    prompts = [
        token_ids(
            chat_prompt([Message("user", [text])], tokens, system_prompt=config.system_prompt, examples=config.examples)
        )
        for text in messages
    ]
    keys = [_key(model, prompt, max_new_tokens) for prompt in prompts]
    known = from_first_worker(kept.of(keys) if kept and rank() == 0 else {})
    replies = {row: known[key]["reply"].tolist() for row, key in enumerate(keys) if key in known}
    missing = [row for row in range(len(messages)) if row not in replies]
    own: list[tuple[int, list[int]]] = []
    for some in _write(model, prompts, missing[rank() :: world_size()], max_new_tokens):
        if kept:
            counts = kept.keep({keys[row]: {"reply": torch.tensor(ids, dtype=torch.long)} for row, ids in some})
            some = [(row, counts[keys[row]]["reply"].tolist()) for row, _ in some]
        own += some
    replies |= dict(gather_objects(own))
    return [
        Exchange(text, tokens.decode(replies[row]), bool(replies[row]) and replies[row][-1] in tokens.stop_ids)
        for row, text in enumerate(messages)
    ]


def _key(model: Fromage, prompt: list[int], max_new_tokens: int) -> str:
    """A hash of all that a reply depends on, but the LM."""
    return hashlib.sha256(repr(("reply", str(model.lm.dtype), max_new_tokens, prompt)).encode()).hexdigest()


def _write(
    model: Fromage, prompts: Sequence[list[int]], rows: Sequence[int], max_new_tokens: int
) -> Iterator[list[tuple[int, list[int]]]]:
    """Some rows' replies, in batches of like length."""
    order = sorted(rows, key=lambda row: len(prompts[row]))
    progress = Progress("replies to small talk", total=len(order), of="replies")
    for start in range(0, len(order), REPLIES_AT_ONCE):
        some = order[start : start + REPLIES_AT_ONCE]
        yield list(zip(some, _generate(model, [prompts[row] for row in some], max_new_tokens), strict=True))
        progress.add(len(some))


def _generate(model: Fromage, prompts: Sequence[list[int]], max_new_tokens: int) -> list[list[int]]:
    """Left-padded ids through transformers' own `generate`: there are no pictures in these prompts."""
    width = max(len(prompt) for prompt in prompts)
    device = model.lm.device
    ids = torch.tensor([[model.tokens.stop_id] * (width - len(prompt)) + prompt for prompt in prompts], device=device)
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=device)
    output = model.lm.backbone.generate(
        input_ids=ids,
        attention_mask=mask,
        max_new_tokens=max_new_tokens,
        do_sample=False,
        eos_token_id=sorted(model.tokens.stop_ids),
        pad_token_id=model.tokens.stop_id,
    )
    return [_until_stop(row, model.tokens.stop_ids) for row in output[:, width:].tolist()]


def _until_stop(ids: list[int], stop_ids: frozenset[int]) -> list[int]:
    for place, token in enumerate(ids):
        if token in stop_ids:
            return ids[: place + 1]
    return ids
