"""FROMAGe's own training step (Koh et al., 2023, `main.py`), for comparison: plain, and faithful in what costs time.

The token table gets a row for [RET] and is trained as a whole: its gradient is computed for every row, then set to 0
for all but [RET]'s; Adam keeps its state for every row. Captions are padded to a fixed length. Each of the two modes,
captioning and retrieval, is a pass of its own, and each turns the pictures into features again.

Shapes: B batch, T positions, F feature width, V vocabulary.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fromage_model.fromage import Fromage
from fromage_model.language.frozen_linear import FrozenLinear
from fromage_model.model import losses

IGNORED = -100
LEARNING_RATE = 3e-4


class OriginalRecipe:
    """`model` is taken apart: its LM gets the larger table, its maps are trained as they are.

    `loss`: of the last step, both modes together.
    """

    def __init__(self, model: Fromage, features: Callable[[], Tensor], captions: Sequence[str], *, max_length: int):
        self.loss = float("nan")
        self._features = features
        self._maps = model.trained
        self._ret_id = model.tokens.ret_id
        self._lm = _with_ret_row(model)
        self._table = self._lm.get_input_embeddings().weight
        texts = [[*model.tokens.start_ids, *model.tokens.encode(text)][: max_length - 1] for text in captions]
        self._ends = torch.tensor([len(text) for text in texts])
        self._ids = torch.tensor([[*text, self._ret_id, *[0] * (max_length - 1 - len(text))] for text in texts])
        places = torch.arange(max_length)[None]
        self._mask = (places <= self._ends[:, None]).long()
        maps = [p for name, p in self._maps.named_parameters() if not name.startswith("ret.")]
        self._optimizer = torch.optim.AdamW([self._table, *maps], lr=LEARNING_RATE, betas=(0.9, 0.95), weight_decay=0.0)

    def step(self) -> float:
        """-> the loss of retrieval, next token and InfoNCE together."""
        captioning = self._captioning(self._features())
        retrieval = self._retrieval(self._features())
        (captioning + retrieval).backward()
        others = torch.arange(len(self._table)) != self._ret_id
        self._table.grad[others, :] = 0.0
        self._optimizer.step()
        self._optimizer.zero_grad()
        with torch.no_grad():
            mean_norm = self._table[:-1].norm(dim=1).mean()
            self._table[-1].mul_(mean_norm / self._table[-1].norm())
        self.loss = float((captioning + retrieval).detach())
        return float(retrieval.detach())

    def _captioning(self, features: Tensor) -> Tensor:
        """Visual prefix, then the caption without [RET], padded."""
        visual = self._maps.prefix(self._maps.standardise(features)).to(self._table.dtype)
        is_ret = self._ids == self._ret_id
        embeddings = torch.cat([visual, self._lm.get_input_embeddings()(self._ids.masked_fill(is_ret, 0))], dim=1)
        seen = self._mask.masked_fill(is_ret, 0)
        mask = torch.cat([seen.new_ones(len(seen), visual.shape[1]), seen], dim=1)
        targets = self._ids.masked_fill(seen == 0, IGNORED)
        labels = torch.cat([targets.new_full((len(targets), visual.shape[1]), IGNORED), targets], dim=1)
        return self._lm(inputs_embeds=embeddings, attention_mask=mask, labels=labels, output_hidden_states=True).loss

    def _retrieval(self, features: Tensor) -> Tensor:
        """The caption and [RET], padded; the state at [RET] against the picture."""
        labels = self._ids.masked_fill(self._mask == 0, IGNORED)
        embeddings = self._lm.get_input_embeddings()(self._ids)
        output = self._lm(inputs_embeds=embeddings, attention_mask=self._mask, labels=labels, output_hidden_states=True)
        at_ret = output.hidden_states[-1][torch.arange(len(self._ids)), self._ends]
        images = self._maps.image_head(self._maps.standardise(features))
        texts = self._maps.text_head([at_ret])
        return output.loss + losses.info_nce(texts, images, self._maps.log_scale)


def _with_ret_row(model: Fromage) -> nn.Module:
    """The LM by transformers' own modules, with one row more in its tied table, which takes a gradient as a whole."""
    lm = _plain(model.lm.backbone)
    lm.resize_token_embeddings(model.tokens.vocabulary + 1, mean_resizing=False)
    table = lm.get_input_embeddings().weight
    with torch.no_grad():
        table[-1] = model.trained.ret.input_row
    table.requires_grad_(True)
    return lm


def _plain(backbone: Any) -> Any:
    """Its linear maps and its attention as transformers has them."""
    for name, module in list(backbone.named_modules()):
        if isinstance(module, FrozenLinear):
            plain = nn.Linear(module.in_features, module.out_features, bias=False, device="meta")
            plain.weight, plain.bias = module.weight, module.bias
            backbone.set_submodule(name, plain)
    backbone.set_attn_implementation("sdpa")
    return backbone
