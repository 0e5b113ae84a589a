"""The original's inference done slowly: no cache, no batch, a whole pass for each token, as its code does."""

import numpy as np
import torch

from fromage_model.fromage import Fromage
from fromage_model.prompts.segments import Picture, Prompt
from tests.fromage_model import reference


def lean(model: Fromage, text: str, factor: float) -> None:
    """Make a token likelier: its output row grows."""
    with torch.no_grad():
        model.lm.backbone.get_output_embeddings().weight[model.tokens.encode(text)[-1]] *= factor


def plain_prompt(model: Fromage, parts: list) -> Prompt:
    """The start token stands before the first text; `[RET]` in a text is the token."""
    prompt: Prompt = []
    started = False
    for part in parts:
        if not isinstance(part, str):
            prompt.append(Picture(torch.from_numpy(part)))
            continue
        ids = [] if started else list(model.tokens.start_ids)
        started = True
        for number, piece in enumerate(part.split("[RET]")):
            ids += ([model.tokens.ret_id] if number else []) + model.tokens.encode(piece)
        prompt.append(ids)
    return prompt


def plain_next(logits: torch.Tensor, step: int, options: dict) -> int:
    logits = logits.clone()
    logits[-1] = -float("inf") if step < options["min_word_tokens"] else logits[-1] * options["ret_scale_factor"]
    if options["temperature"] == 0.0:
        return int(logits.argmax())
    logits = logits / options["temperature"]
    if options["top_p"] < 1.0:
        kept, mass = set(), 0.0
        for token in logits.argsort(descending=True).tolist():
            if mass > options["top_p"]:
                break
            kept.add(token)
            mass += float(logits.softmax(dim=-1)[token])
        gone = [token for token in range(len(logits)) if token not in kept]
        logits[gone] = -float("inf")
    return int(torch.multinomial(logits.exp(), 1))


@torch.no_grad()
def plain_ids(model: Fromage, prompt: Prompt, options: dict) -> list[int]:
    ids: list[int] = []
    for step in range(options["num_words"]):
        ids.append(plain_next(reference.read(model, [*prompt, ids]).logits[-1], step, options))
        if model.lm.backbone.config.model_type != "opt" and ids[-1] == model.tokens.stop_id:
            break
    newline = model.tokens.encode("\n")[0]
    if newline in ids and ids.index(newline) > 0:
        ids = ids[: ids.index(newline)]
    return ids


def plain_text(model: Fromage, ids: list[int]) -> str:
    text = model.tokens.decode(ids)
    for mark in ("\n", "."):
        if mark in text:
            return text[: text.index(mark) + 1]
    return text


@torch.no_grad()
def plain(model: Fromage, parts: list, **options) -> list:
    """-> texts, and lists of item ids."""
    options = {"min_word_tokens": 0, "ret_scale_factor": 1.0, "temperature": 0.0, "top_p": 1.0} | options
    prompt = plain_prompt(model, parts)
    if options["num_words"]:
        ids, before = plain_ids(model, prompt, options), prompt
    else:
        ids, before = [token for segment in prompt if isinstance(segment, list) for token in segment], None
    rets = [place for place, token in enumerate(ids) if token == model.tokens.ret_id][: options["max_num_rets"]]
    if not rets:
        return [plain_text(model, ids)]
    found, last, seen = [], 0, []
    for number, place in enumerate(rets):
        upto = [*before, ids[: place + 1]] if before is not None else cut_after_ret(model, prompt, number)
        scores = model.index.vectors @ reference.embedding_at(model, upto).numpy()
        scores[seen] -= 1000
        rows = np.argsort(-scores)[: options["max_img_per_ret"]].tolist()
        seen += rows
        found += [plain_text(model, ids[last:place]) + " [RET]", [f"id{row}" for row in rows]]
        last = place + 1
    return found


def cut_after_ret(model: Fromage, prompt: Prompt, number: int) -> Prompt:
    """The prompt up to and with its [RET] of that number."""
    cut: Prompt = []
    for segment in prompt:
        if isinstance(segment, Picture):
            cut.append(segment)
            continue
        for place, token in enumerate(segment):
            if token == model.tokens.ret_id:
                if number == 0:
                    return [*cut, segment[: place + 1]]
                number -= 1
        cut.append(segment)
    raise AssertionError("fewer [RET] than that")
