"""Anything that writes captions for pictures, by name: a model of ours, one of transformers, LLaMA-Adapter V2.

Knows no catalogue and no files of pictures; the embedded default is the shipped bundle.

Shapes: R rows still being written, V vocabulary.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from PIL import Image
from torch import Tensor

from fromage_model.bundle import load_bundle
from fromage_model.captioning.names import DEFAULT_CAPTIONER, FORMS, LLAMA_ADAPTER, adapter_places
from fromage_model.chat.chooser import Chooser
from fromage_model.chat.row_decoding import write_rows
from fromage_model.errors import ConfigError, MissingArtefact, PromptTooLong
from fromage_model.fromage import Fromage
from fromage_model.frozen.model import FrozenModel
from fromage_model.frozen.storage import HEADER as FROZEN_HEADER
from fromage_model.header import HEADER
from fromage_model.language.caption_text import caption_of
from fromage_model.language.precision import default_device, default_dtype
from fromage_model.model.batching import embed_tokens
from fromage_model.model.core import FromageCore
from fromage_model.prompts.messages import Sampling
from fromage_model.prompts.segments import Picture, Prompt
from fromage_model.storage.artefacts import is_uri, locate
from fromage_model.storage.pretrained import load_pretrained, locate_folder


class Captioner(Protocol):
    """What writes captions. `default_prompt` is an instruction, or the words that a caption follows."""

    default_prompt: str

    def captions(
        self,
        images: Sequence[Image.Image],
        prompt: str | None = None,
        *,
        max_new_tokens: int = ...,
        temperature: float = ...,
        top_p: float = ...,
        seed: int | None = None,
    ) -> list[str]:
        """One caption for each RGB picture, written together and each as if alone.

        Temperature 0 is greedy; otherwise each picture's words are drawn by themselves, all from `seed`.
        A caption that the token limit cuts ends at its last complete clause.
        """


class BundleCaptioner:
    """A Fromage as captioner: the visual prefix, the words of the prompt, and what the LM goes on with.

    The start token stands where it stood in training: before the picture or, with `original_captions`, after the words.
    [RET] can't be written, and a caption ends at the LM's stop token or at the end of its line.
    """

    def __init__(self, model: Fromage):
        self.model = model
        self.default_prompt = model.config.caption_prompt

    @torch.inference_mode()
    def captions(
        self,
        images: Sequence[Image.Image],
        prompt: str | None = None,
        *,
        max_new_tokens: int = 26,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int | None = None,
    ) -> list[str]:
        """As the protocol says; `prompt` stands between picture and caption and is no part of the result.

        Raises InvalidInput for a setting out of bounds, PromptTooLong where it all exceeds the LM's positions.
        """
        sampling = Sampling(max_new_tokens=max_new_tokens, temperature=temperature, top_p=top_p, seed=seed)
        check_caption_prompt(self.model, prompt, max_new_tokens=max_new_tokens)
        return self._captions_of(self.model.encode(images), prompt, sampling) if images else []

    @torch.inference_mode()
    def captions_of(self, features: Tensor, prompt: str | None = None, *, max_new_tokens: int = 26) -> list[str]:
        """The same, greedily, for pictures whose features, (B, F), are there already."""
        check_caption_prompt(self.model, prompt, max_new_tokens=max_new_tokens)
        sampling = Sampling(max_new_tokens=max_new_tokens, temperature=0.0)
        return self._captions_of(features, prompt, sampling) if len(features) else []

    def _captions_of(self, features: Tensor, prompt: str | None, sampling: Sampling) -> list[str]:
        tokens, lm = self.model.tokens, self.model.lm
        reading = _Reading(self.model, [caption_prompt(self.model, row, prompt) for row in features])
        written = write_rows(reading, len(features), sampling=sampling, stop_ids=tokens.stop_ids, device=lm.device)
        texts = [(tokens.decode(row.ids).partition("\n"), row.ended) for row in written]
        return [caption_of(text, ended=ended or bool(cut)) for (text, cut, _), ended in texts]


def caption_prompt(model: FromageCore, features: Tensor, prompt: str | None = None) -> Prompt:
    """What a caption of the picture with these features, (F,), goes on from; without a `prompt`, by the model's own."""
    start, words = list(model.tokens.start_ids), _words(model, prompt)
    picture = Picture(features)
    return [picture, words, start] if model.config.original_captions else [start, picture, words]


def check_caption_prompt(model: FromageCore, prompt: str | None, *, max_new_tokens: int) -> None:
    """Raises PromptTooLong where prompt and caption exceed the LM's positions."""
    positions = len(model.tokens.start_ids) + model.config.visual_tokens + len(_words(model, prompt))
    if positions + max_new_tokens > model.lm.max_positions:
        raise PromptTooLong(
            f"the prompt takes {positions} positions and the caption up to {max_new_tokens}; "
            f"together at most {model.lm.max_positions}",
            field="prompt",
        )


def _words(model: FromageCore, prompt: str | None) -> list[int]:
    return model.tokens.encode(model.config.caption_prompt if prompt is None else prompt)


class _Reading:
    """A Fromage part-way through prompts of one length: its cache and its last states."""

    def __init__(self, model: Fromage, prompts: Sequence[Prompt]):
        from transformers import DynamicCache

        self._model = model
        self._cache = DynamicCache()
        self._states = model.lm(model.embed_prompts(prompts).embeddings, cache=self._cache)
        self._logits = self._of_states()

    def logits(self) -> Tensor:
        return self._logits

    def keep(self, rows: Tensor) -> None:
        self._cache.batch_select_indices(rows)

    def consume(self, tokens: Tensor) -> None:
        embeddings = embed_tokens(tokens.unsqueeze(1), lm=self._model.lm, ret=self._model.trained.ret)
        self._states = self._model.lm(embeddings, cache=self._cache)
        self._logits = self._of_states()

    def _of_states(self) -> Tensor:
        """(R, V) float32, without [RET]."""
        return self._model.lm.logits(self._states.last[:, -1]).float()


class TransformersCaptioner:
    """Any image-text-to-text model of transformers (SmolVLM, LLaVA, LLaMA 3.2 Vision) with its processor."""

    default_prompt = "Describe this picture in one short sentence."

    def __init__(self, model: Any, processor: Any):
        self.model = model.eval().requires_grad_(False)
        self.processor = processor
        self._tokenizer = processor.tokenizer
        self._tokenizer.padding_side = "left"
        if self._tokenizer.pad_token is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token

    @torch.inference_mode()
    def captions(
        self,
        images: Sequence[Image.Image],
        prompt: str | None = None,
        *,
        max_new_tokens: int = 64,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int | None = None,
    ) -> list[str]:
        """As the protocol says; `prompt` is put into the model's chat template where it has one.

        Raises InvalidInput for a setting out of bounds.
        """
        sampling = Sampling(max_new_tokens=max_new_tokens, temperature=temperature, top_p=top_p, seed=seed)
        if not images:
            return []
        text = self._text(self.default_prompt if prompt is None else prompt)
        inputs = self.processor(
            images=[[image] for image in images], text=[text] * len(images), padding=True, return_tensors="pt"
        ).to(self.model.device, self.model.dtype)
        drawn = _Drawn(sampling, rows=len(images), device=self.model.device)
        output = self.model.generate(
            **inputs,
            max_new_tokens=max_new_tokens,
            do_sample=False,
            logits_processor=[] if temperature == 0 else [drawn],
            pad_token_id=self._tokenizer.pad_token_id,
        )
        return [self._caption(row) for row in output[:, inputs["input_ids"].shape[1] :].tolist()]

    def _text(self, prompt: str) -> str:
        if not self.processor.chat_template:
            return f"{getattr(self.processor, 'image_token', '')}{prompt}"
        turn = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": prompt}]}
        return self.processor.apply_chat_template([turn], add_generation_prompt=True)

    def _caption(self, ids: list[int]) -> str:
        stops = self.model.generation_config.eos_token_id
        stops = {stops} if isinstance(stops, int) else set(stops or ())
        end = next((place for place, token in enumerate(ids) if token in stops), None)
        return caption_of(self._tokenizer.decode(ids[:end], skip_special_tokens=True), ended=end is not None)


class _Drawn:
    """A logits processor for greedy `generate` that leaves each row one token, drawn by that row's own numbers."""

    def __init__(self, sampling: Sampling, *, rows: int, device: torch.device):
        self._chooser = Chooser(slots=rows, device=device)
        for _ in range(rows):
            self._chooser.admit(sampling)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """(R, T) ids so far and (R, V) logits -> (R, V)."""
        self._chooser(scores.float())
        return torch.full_like(scores, float("-inf")).scatter_(1, self._chooser.ids.unsqueeze(1), 0.0)


def load_captioner(
    name: str = DEFAULT_CAPTIONER, *, device: str | torch.device | None = None, dtype: torch.dtype | None = None
) -> Captioner:
    """The captioner of that name, one of FORMS, ready to write.

    Raises MissingArtefact where nothing of that name is found, ConfigError for a name or a model that is none of FORMS,
    and what the loaders of the three raise.
    """
    if name.startswith(LLAMA_ADAPTER):
        return _llama_adapter(name, device, dtype)
    return _from_folder(find_captioner(name), device, dtype)


def find_captioner(name: str) -> Path:
    """The folder of a captioner, unless it is a LLaMA-Adapter. Raises MissingArtefact where there is none."""
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    try:
        return locate("bundle", name) if is_uri(name) or "/" not in name else locate_folder(name)
    except MissingArtefact as error:
        raise MissingArtefact(f"no captioner {name!r}: {error}. A captioner is {FORMS}") from error


def is_bundle(name: str) -> bool:
    """Whether the captioner of that name is a bundle. Raises MissingArtefact where there is none of that name."""
    return not name.startswith(LLAMA_ADAPTER) and (find_captioner(name) / HEADER).is_file()


def _from_folder(folder: Path, device: str | torch.device | None, dtype: torch.dtype | None) -> Captioner:
    for file, load in _LOADERS.items():
        if (folder / file).is_file():
            return load(str(folder), device, dtype)
    raise ConfigError(f"{folder} holds no captioner: none of {', '.join(_LOADERS)} is in it. A captioner is {FORMS}")


def _from_bundle(name: str, device: str | torch.device | None, dtype: torch.dtype | None) -> Captioner:
    return BundleCaptioner(load_bundle(name, device=device, dtype=dtype))


def _from_frozen(name: str, device: str | torch.device | None, dtype: torch.dtype | None) -> Captioner:
    return FrozenModel.load(name, device=device, dtype=dtype).requires_grad_(False)


def _from_transformers(name: str, device: str | torch.device | None, dtype: torch.dtype | None) -> Captioner:
    from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor, Idefics3Processor
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

    device = device or default_device()
    kind = AutoConfig.from_pretrained(locate_folder(name), trust_remote_code=False).model_type
    if kind not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
        raise ConfigError(f"{name} holds a {kind!r} model, which does not turn images and text to text")
    model = load_pretrained(AutoModelForImageTextToText, name, dtype=dtype or default_dtype(device))
    # SmolVLM2's own processor needs torchvision and num2words, for videos; pictures it lays out as Idefics3's does.
    processor_class = Idefics3Processor if kind == "smolvlm" else AutoProcessor
    return TransformersCaptioner(model.to(device), processor_class.from_pretrained(name, trust_remote_code=False))


def _llama_adapter(name: str, device: str | torch.device | None, dtype: torch.dtype | None) -> Captioner:
    from fromage_model.llama_adapter import LlamaAdapter

    llama_dir, checkpoint, clip = adapter_places(name)
    device = device or default_device()
    return LlamaAdapter.from_original(llama_dir, checkpoint, clip, device=device, dtype=dtype or default_dtype(device))


_LOADERS: dict[str, Callable[[str, str | torch.device | None, torch.dtype | None], Captioner]] = {
    HEADER: _from_bundle,
    FROZEN_HEADER: _from_frozen,
    "config.json": _from_transformers,
}
"""What a folder holds -> how it is opened, the first that fits."""
