"""Inference as the original does it (`generate_for_images_and_texts` in kohjingyu/fromage, `fromage/models.py`).

A way to the original's numbers with its released weights, and to its meaning of every option. Our own way, with
streaming and a chat template, is the room `chat`.

It differs from the original where that one can't be right. The original looks a [RET] of the prompt up by its place
among the text tokens, in a sequence that holds visual tokens too, and raises where the last token written is a [RET].
Here the embedding of a [RET] is always that of the position that consumes it; parity is with the original so corrected.
What the caller types is ordinary text, special tokens among it. The LM reads each token once, over a KV cache. A
config's `picture_weight`, which the original does not know, plays no part.

Shapes: B batch, T positions, D LM width, V vocabulary, S shared width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fromage_model.errors import InvalidInput, PromptTooLong
from fromage_model.fromage import Fromage
from fromage_model.index import Hit, RetrievalIndex
from fromage_model.model.batching import embed_tokens
from fromage_model.prompts.messages import Part
from fromage_model.prompts.original import RET_TEXT, RetMark, original_prompt
from fromage_model.prompts.segments import Prompt, token_count


@dataclass(frozen=True)
class OriginalSampling:
    """The original's options, checked; see `generate_for_images_and_texts` for their meaning."""

    num_words: int
    ret_scale_factor: float
    min_word_tokens: int
    temperature: float
    top_p: float
    max_num_rets: int
    max_img_per_ret: int

    def __post_init__(self):
        checks = (
            ("num_words", self.num_words >= 0, "0 or more"),
            ("min_word_tokens", self.min_word_tokens >= 0, "0 or more"),
            ("temperature", self.temperature >= 0, "0 (greedy) or more"),
            ("top_p", 0 < self.top_p <= 1, "above 0 and at most 1"),
            ("top_p", self.top_p == 1 or self.temperature > 0, "1.0 at temperature 0, which is greedy"),
            ("max_num_rets", self.max_num_rets >= 0, "0 or more"),
            ("max_img_per_ret", self.max_img_per_ret >= 1, "1 or more"),
        )
        for name, valid, wanted in checks:
            if not valid:
                raise InvalidInput(f"{name} is {getattr(self, name)}; it must be {wanted}", field=name)


@dataclass(frozen=True)
class Written:
    """Token ids, and the retrieval embedding, (S,) float32 on the CPU, of every [RET] among them."""

    ids: list[int]
    embeddings: list[Tensor]


def generate_for_images_and_texts(
    model: Fromage,
    prompts: Sequence[Part | RetMark],
    *,
    num_words: int = 0,
    ret_scale_factor: float = 1.0,
    min_word_tokens: int = 0,
    top_p: float = 1.0,
    temperature: float = 0.0,
    max_num_rets: int = 1,
    max_img_per_ret: int = 1,
    index: RetrievalIndex | None = None,
    ret_in_text: bool = False,
    generator: torch.Generator | None = None,
) -> list[str | list[Hit]]:
    """Text and pictures in; out comes one text, or text ending in " [RET]" and retrieved items by turns.

    - `prompts`: the parts of one prompt in order: text, PIL pictures or features (F,), and `RET` for the token [RET].
    - `num_words`: how many tokens are written, in truth; an OPT goes on beyond its end token. 0 writes none: the LM
      reads the prompt, and its own [RET] are answered.
    - `ret_scale_factor` multiplies the logit of [RET], whatever its sign; `min_word_tokens` is how many tokens come
      before the first that may be [RET].
    - `temperature` 0 takes the best token; otherwise one is drawn after the top-p filter, with `generator` or else
      torch's own.
    - `max_num_rets`: the [RET] that are answered; text after the last of them is not returned. `max_img_per_ret`: items
      for each, from `index` or else the model's; no item comes twice, and none where there is no index.
    - `ret_in_text`: whether "[RET]" in the prompt's text is the token, as in the original. Only for text of your own:
      whoever writes such text decides where items are retrieved.

    What is written is cut at its first newline token, unless that comes first; then each text ends with its first
    newline, else with its first full stop. Raises InvalidInput for an option that can't work, an empty prompt or a part
    of another kind, PromptTooLong where prompt and reply exceed the LM's positions, ConfigError for a picture where the
    model has no encoder.
    """
    sampling = OriginalSampling(
        num_words, ret_scale_factor, min_word_tokens, temperature, top_p, max_num_rets, max_img_per_ret
    )
    prompt = original_prompt(model.with_features(prompts), model.tokens, ret_in_text=ret_in_text)
    _check_length(model, prompt, num_words)
    written = write(model, prompt, sampling, generator=generator) if num_words else read(model, prompt)
    return _interleave(model, written, sampling, index if index is not None else model.index)


@torch.inference_mode()
def read(model: Fromage, prompt: Prompt) -> Written:
    """The prompt's own tokens, pictures left out, and the embedding of each [RET] where the LM reads it."""
    batch = model.embed_prompts([prompt])
    states = model.lm(batch.embeddings, attention_mask=batch.mask)
    ids = [token for segment in prompt if isinstance(segment, list) for token in segment]
    _, columns = torch.where(batch.ids == model.tokens.ret_id)
    embeddings = model.trained.text_head(states.at(torch.zeros_like(columns), columns))
    return Written(ids, list(embeddings.float().cpu()))


@torch.inference_mode()
def write(
    model: Fromage, prompt: Prompt, sampling: OriginalSampling, *, generator: torch.Generator | None = None
) -> Written:
    """Continue a prompt by up to `num_words` tokens; what comes after the last answer is not written.

    An OPT goes on beyond its end token and other LMs stop there, as in the original.
    """
    from transformers import DynamicCache

    tokens, stops = model.tokens, _stop_ids(model)
    newline = tokens.encode("\n")[-1]
    cache = DynamicCache()
    states = model.lm(model.embed_prompts([prompt]).embeddings, cache=cache)
    written = Written([], [])
    while len(written.ids) < sampling.num_words:
        logits = model.logits(states.last[0, -1])
        token = _choose(logits, sampling, place=len(written.ids), generator=generator)
        if token == newline and written.ids and written.ids[0] != newline:
            break
        written.ids.append(token)
        if token in stops:
            break
        ids = torch.tensor([[token]], device=model.lm.device)
        states = model.lm(embed_tokens(ids, lm=model.lm, ret=model.trained.ret), cache=cache)
        if token == tokens.ret_id:
            written.embeddings.append(model.trained.text_head([layer[0, -1] for layer in states.layers]).float().cpu())
            if len(written.embeddings) == sampling.max_num_rets:
                break
    return written


def truncate(text: str) -> str:
    """Up to and with the first newline, else the first full stop, else all of it; the original's `truncate_caption`."""
    end = text.find("\n") + 1 or text.find(".") + 1
    return text[:end] if end else text


def keep_top_p(logits: Tensor, top_p: float) -> Tensor:
    """(V + 1) -> the same with every token impossible whose better ones hold more than `top_p` of the mass."""
    ordered, order = logits.sort(descending=True)
    mass = ordered.softmax(dim=-1).cumsum(dim=-1)
    beyond = torch.cat([torch.zeros_like(mass[:1], dtype=torch.bool), mass[:-1] > top_p])
    return logits.masked_fill(torch.zeros_like(beyond).index_copy(0, order, beyond), float("-inf"))


def _choose(logits: Tensor, sampling: OriginalSampling, *, place: int, generator: torch.Generator | None) -> int:
    """(V + 1) float32, changed in place -> the next id, in the original's order: [RET], temperature, top-p, draw."""
    if place < sampling.min_word_tokens:
        logits[-1] = float("-inf")
    else:
        logits[-1] *= sampling.ret_scale_factor
    if sampling.temperature == 0:
        return int(logits.argmax())
    logits = logits / sampling.temperature
    if sampling.top_p < 1:
        logits = keep_top_p(logits, sampling.top_p)
    return int(torch.multinomial(logits.softmax(dim=-1), 1, generator=generator))


def _interleave(
    model: Fromage, written: Written, sampling: OriginalSampling, index: RetrievalIndex | None
) -> list[str | list[Hit]]:
    places = [place for place, token in enumerate(written.ids) if token == model.tokens.ret_id][: sampling.max_num_rets]
    if not places:
        return [truncate(model.tokens.decode(written.ids))]
    found: list[str | list[Hit]] = []
    shown: set[str] = set()
    for start, place, embedding in zip([0, *(place + 1 for place in places)], places, written.embeddings, strict=False):
        found.append(f"{truncate(model.tokens.decode(written.ids[start:place]))} {RET_TEXT}")
        hits: list[Hit] = []
        if index is not None:
            hits = index.search(embedding.numpy(), top_k=sampling.max_img_per_ret, exclude=shown)[0]
        shown.update(hit.id for hit in hits)
        found.append(hits)
    return found


def _stop_ids(model: Fromage) -> frozenset[int]:
    return frozenset() if model.lm.backbone.config.model_type == "opt" else frozenset([model.tokens.stop_id])


def _check_length(model: Fromage, prompt: Prompt, num_words: int) -> None:
    count, limit = token_count(prompt, visual_tokens=model.config.visual_tokens), model.lm.max_positions
    if count == 0:
        raise InvalidInput("the prompt is empty; expected text or a picture", field="prompts")
    if count + num_words > limit:
        message = f"the prompt has {count} tokens and num_words is {num_words}; together at most {limit} fit"
        raise PromptTooLong(message, field="prompts")
