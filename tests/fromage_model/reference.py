"""The plain way to what fromage_model computes with shortcuts: one row at a time, no padding, no cache, every gradient.

It uses transformers' causal LM as a whole and only the trained maps of ours.

Shapes: T positions, D LM width, V vocabulary, S shared width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from fromage_model.fromage import Fromage
from fromage_model.prompts.segments import Picture, Prompt


@dataclass(frozen=True)
class Read:
    """`logits` (T, V + 1), [RET]'s last; `layers`, (T, D) each, for the text head."""

    logits: Tensor
    layers: list[Tensor]


def embed(model: Fromage, prompt: Prompt) -> Tensor:
    """A prompt -> (1, T, D)."""
    trained, table = model.trained, model.lm.backbone.get_input_embeddings().weight
    rows: list[Tensor] = []
    for segment in prompt:
        if isinstance(segment, Picture):
            rows += list(trained.prefix(trained.standardise(segment.features[None]))[0])
        else:
            rows += [trained.ret.input_row if token == model.tokens.ret_id else table[token] for token in segment]
    return torch.stack(rows)[None]


def read(model: Fromage, prompt: Prompt) -> Read:
    """The whole sequence through the LM."""
    backbone = model.lm.backbone
    output = backbone(inputs_embeds=embed(model, prompt), use_cache=False, output_hidden_states=True)
    last = backbone.base_model(inputs_embeds=embed(model, prompt), use_cache=False).last_hidden_state[0]
    ret = model.trained.ret
    row = ret.input_row if ret.output_row is None else ret.output_row
    logits = torch.cat([output.logits[0, :, : model.tokens.vocabulary], (last @ row)[:, None]], dim=1)
    layers = [last if layer == -1 else output.hidden_states[layer][0] for layer in model.config.text_layers]
    return Read(logits, layers)


def embedding_at(model: Fromage, prompt: Prompt, position: int = -1) -> Tensor:
    """The retrieval embedding, (S,), from the state at one position."""
    head = model.trained.text_head
    projected = [
        project((layer[position] - standardise.mean) / standardise.std)
        for project, standardise, layer in zip(head.project, head.standardise, read(model, prompt).layers, strict=True)
    ]
    return F.normalize(torch.stack(projected).sum(dim=0), dim=0)


def token_losses(model: Fromage, prompt: Prompt, targets: Sequence[int]) -> list[Tensor]:
    """-log p of each of `targets`, which follow the prompt."""
    logits = read(model, [*prompt, list(targets)]).logits
    first = len(logits) - len(targets)
    return [
        -logits[first + place - 1].log_softmax(dim=-1)[target]
        for place, target in enumerate(targets)
        if first + place > 0
    ]


def info_nce(texts: Tensor, images: Tensor, scale: Tensor) -> Tensor:
    """Both (B, S), element by element."""
    total = texts.new_zeros(())
    for row in range(len(texts)):
        own = scale * texts[row] @ images[row]
        total = total + (scale * images @ texts[row]).logsumexp(0) - own
        total = total + (scale * texts @ images[row]).logsumexp(0) - own
    return total / (2 * len(texts))


@dataclass(frozen=True)
class Greedy:
    """What was written: ids, [RET] among them, and the embedding of each [RET] by a reading of all before it."""

    ids: list[int]
    embeddings: list[Tensor]


@torch.no_grad()
def greedy(
    model: Fromage, prompt: Prompt, *, max_new_tokens: int, ret_scale_factor: float = 1.0, max_rets: int = 1
) -> Greedy:
    """Everything is read again for each token."""
    ids: list[int] = []
    embeddings: list[Tensor] = []
    for _ in range(max_new_tokens):
        logits = read(model, [*prompt, ids]).logits[-1]
        logits[-1] = logits[-1] * ret_scale_factor if len(embeddings) < max_rets else float("-inf")
        token = int(logits.argmax())
        if token in model.tokens.stop_ids:
            break
        ids.append(token)
        if token == model.tokens.ret_id:
            embeddings.append(embedding_at(model, [*prompt, ids]))
    return Greedy(ids, embeddings)
