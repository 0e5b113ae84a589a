"""LLaMA-Adapter V2, multimodal: pictures steer a LLaMA through adapter states in its last layers, and it captions them.

This class wires finished parts; `loading.py` makes them from the original's files.

Shapes: B batch, T tokens, Q adapter states, L adapter layers, D LM width, V vocabulary.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import torch
from PIL import Image
from torch import Tensor, nn

from fromage_model.chat.row_decoding import Written, write_rows
from fromage_model.errors import PromptTooLong
from fromage_model.language.caption_text import caption_of
from fromage_model.language.tokens import Tokens
from fromage_model.llama_adapter.attention import AdapterStates
from fromage_model.llama_adapter.visual import QUERIES, ClipTokens, VisualQueries
from fromage_model.prompts.messages import Sampling

CAPTION_PROMPT = "Generate caption of this image"
"""The instruction that the original's captioner was trained with."""

TEMPLATE = (
    "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{}\n\n### Response:"
)
"""What the original puts around an instruction (Alpaca's template, without an input)."""


class LlamaAdapter(nn.Module):
    """A frozen CLIP, the visual queries, adapter queries for the last layers, and the LLaMA that attends to them."""

    default_prompt = CAPTION_PROMPT

    def __init__(
        self,
        *,
        clip: ClipTokens,
        processor: Any,
        visual: VisualQueries,
        adapter_query: nn.Embedding,
        llama: Any,
        tokens: Tokens,
    ):
        super().__init__()
        self.clip = clip
        self.processor = processor
        self.visual = visual
        self.adapter_query = adapter_query
        self.llama = llama
        self.tokens = tokens

    @classmethod
    def from_original(
        cls,
        llama_dir: str | Path,
        adapter_checkpoint: str | Path,
        clip: str | Path,
        *,
        device: str | torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> Self:
        """The original's files -> a model in eval mode; `dtype` is LLaMA's, all that sees is float32.

        By default LLaMA has a dtype in which nothing of what is stored is lost: float32 for float16 on a CPU, where
        bfloat16 takes half the memory.

        `llama_dir`: a folder with `tokenizer.model` and `7B/` (`consolidated.00.pth`, `params.json`), that subfolder,
        or a LLaMA as `save_pretrained` writes it. `adapter_checkpoint`: the file of `BIAS-7B`, `LORA-BIAS-7B` or
        `CAPTION-7B`. `clip`: folder or hub id of a `CLIPModel`. All files are read without running code.

        Raises MissingArtefact where a file is not there; CheckpointError where one can't be read as plain tensors, or
        with the list of all missing, unexpected and wrongly shaped keys; ConfigError for a `clip` that is none.
        """
        from fromage_model.llama_adapter.loading import load_parts

        parts = load_parts(Path(llama_dir), Path(adapter_checkpoint), str(clip), device=device, dtype=dtype)
        return cls(**parts).eval().requires_grad_(False)

    @property
    def device(self) -> torch.device:
        return self.adapter_query.weight.device

    @torch.inference_mode()
    def encode(self, images: Sequence[Image.Image]) -> Tensor:
        """RGB pictures -> what the LM is to see of them, (B, Q, D) float32."""
        pixels = self.processor(images=list(images), return_tensors="pt")["pixel_values"]
        return self.visual(self.clip(pixels.to(self.device)))

    def adapters(self, seen: Tensor) -> list[AdapterStates | None]:
        """`encode`'s (B, Q, D) -> for each layer of the LM what it attends to; None in the first layers."""
        queries = self.adapter_query.weight.unflatten(0, (-1, QUERIES))
        layers = self.llama.model.layers
        states: list[AdapterStates | None] = [None] * (len(layers) - len(queries))
        for layer, query in zip(layers[len(states) :], queries, strict=True):
            states.append(layer.self_attn.adapter_states((query + seen).to(self.llama.dtype)))
        return states

    def forward(self, seen: Tensor, ids: Tensor) -> Tensor:
        """`encode`'s (B, Q, D) and token ids (B, T) -> logits (B, T, V) float32."""
        return self.llama(input_ids=ids, adapters=self.adapters(seen), use_cache=False).logits.float()

    def captions(
        self,
        images: Sequence[Image.Image],
        prompt: str | None = None,
        *,
        max_new_tokens: int = 26,
        temperature: float = 0.1,
        top_p: float = 0.75,
        seed: int | None = None,
    ) -> list[str]:
        """One caption for each RGB picture, all written together; a row that has ended costs nothing more.

        `prompt` is the instruction inside the original's template, by default the one of its captioner's training.
        Temperature 0 is greedy. A picture's caption does not depend on the others; with a `seed` it is drawn from a
        generator seeded so. A caption that the token limit cuts ends at its last complete clause.

        Raises InvalidInput for a setting out of bounds, PromptTooLong where prompt and caption exceed the positions.
        """
        sampling = Sampling(max_new_tokens=max_new_tokens, temperature=temperature, top_p=top_p, seed=seed)
        written = self.write(images, self.default_prompt if prompt is None else prompt, sampling=sampling)
        return [caption_of(self.tokens.decode(row.ids), ended=row.ended) for row in written]

    @torch.inference_mode()
    def write(self, images: Sequence[Image.Image], instruction: str, *, sampling: Sampling) -> list[Written]:
        """The token ids of what `captions` returns as text, and whether each row ended by itself."""
        ids = self._prompt_ids(instruction, sampling.max_new_tokens)
        if not images:
            return []
        reading = _Reading(self, ids, self.encode(images))
        stop_ids = self.tokens.stop_ids
        return write_rows(reading, len(images), sampling=sampling, stop_ids=stop_ids, device=self.device)

    def _prompt_ids(self, instruction: str, max_new_tokens: int) -> list[int]:
        # Always with BOS, as in the original: whether a tokenizer puts it there by itself depends on its folder.
        start = [] if self.tokens.bos_id is None else [self.tokens.bos_id]
        ids = start + self.tokens.encode(TEMPLATE.format(instruction))
        limit = self.llama.config.max_position_embeddings
        if len(ids) + max_new_tokens > limit:
            raise PromptTooLong(
                f"the prompt has {len(ids)} tokens and the caption up to {max_new_tokens}; together at most {limit}",
                field="prompt",
            )
        return ids


class _Reading:
    """The LM part-way through one prompt under several pictures: cache, adapter states and last logits."""

    def __init__(self, model: LlamaAdapter, ids: Sequence[int], seen: Tensor):
        from transformers import DynamicCache

        self._llama = model.llama
        self._cache = DynamicCache()
        self._adapters = model.adapters(seen)
        self._read(torch.tensor([list(ids)], device=seen.device).expand(len(seen), -1))

    def logits(self) -> Tensor:
        return self._logits

    def keep(self, rows: Tensor) -> None:
        self._cache.batch_select_indices(rows)
        self._adapters = [states and states.rows(rows) for states in self._adapters]

    def consume(self, tokens: Tensor) -> None:
        self._read(tokens.unsqueeze(1))

    def _read(self, ids: Tensor) -> None:
        output = self._llama(
            input_ids=ids, adapters=self._adapters, past_key_values=self._cache, use_cache=True, logits_to_keep=1
        )
        self._logits = output.logits[:, -1].float()
