"""The frozen LM's own replies to training's messages, written once per run. Knows no training.

They teach [RET] to keep out of plain talk.
"""

from collections.abc import Sequence

import torch

from fromage_model.fromage import Fromage
from fromage_model.prompts.messages import Message
from fromage_model.prompts.segments import chat_prompt, token_ids
from jobs.finetune.examples.examples import Exchange


@torch.inference_mode()
def write_replies(
    model: Fromage, messages: Sequence[str], *, max_new_tokens: int, batch_size: int = 16
) -> list[Exchange]:
    """Greedy replies to single messages, in batches of like length; a reply that ends keeps its stop token."""
    config, tokens = model.config, model.tokens
    prompts = [
        token_ids(
            chat_prompt([Message("user", [text])], tokens, system_prompt=config.system_prompt, examples=config.examples)
        )
        for text in messages
    ]
    order = sorted(range(len(messages)), key=lambda row: len(prompts[row]))
    exchanges: dict[int, Exchange] = {}
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        replies = _generate(model, [prompts[row] for row in rows], max_new_tokens)
        for row, ids in zip(rows, replies, strict=True):
            ends = bool(ids) and ids[-1] in model.tokens.stop_ids
            exchanges[row] = Exchange(messages[row], model.tokens.decode(ids), ends)
    return [exchanges[row] for row in range(len(messages))]


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
