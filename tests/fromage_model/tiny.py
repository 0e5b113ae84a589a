"""Small real models: a byte-level tokenizer, LLaMA, OPT and CLIP of a few thousand weights, saved and loaded as any.

Weights are drawn wide, so that a greedy reply wanders through the vocabulary and does not repeat one token.
"""

from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import Tensor
from transformers import (
    BertConfig,
    BertModel,
    CLIPVisionConfig,
    CLIPVisionModel,
    LlamaConfig,
    LlamaForCausalLM,
    OPTConfig,
    OPTForCausalLM,
    PreTrainedTokenizerFast,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from fromage_model.build import build_fromage
from fromage_model.config import FromageConfig
from fromage_model.fromage import Fromage
from fromage_model.language.lora_settings import LoraSettings

FEATURE_WIDTH = 12
SHARED_WIDTH = 8
VISUAL_TOKENS = 2
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CORPUS = (
    "A picture of a red dress.",
    "Show me something warm for the winter, please.",
    "You are a shopping assistant. Answer in one or two short sentences.",
    "Have you got a pair of shoes?",
)


def write_chat_tokenizer(folder: Path) -> int:
    """With a chat template and no start token, as SmolLM2's -> its length."""
    tokenizer = _train(["<|im_start|>", "<|im_end|>"])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>", chat_template=TEMPLATE)
    fast.save_pretrained(folder)
    return len(fast)


def write_plain_tokenizer(folder: Path) -> int:
    """Without a template and with a start token, as OPT's -> its length."""
    tokenizer = _train(["<s>", "</s>"])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")
    fast.save_pretrained(folder)
    return len(fast)


def write_llama(folder: Path, *, tied: bool = True, padding_rows: int = 0, seed: int = 0) -> Path:
    """A LLaMA of two layers; `padding_rows` of its table belong to no token."""
    length = write_chat_tokenizer(folder) if tied else write_plain_tokenizer(folder)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=length + padding_rows,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=256,
        tie_word_embeddings=tied,
        initializer_range=0.4,
        bos_token_id=0,
        eos_token_id=1,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def write_opt(folder: Path, *, padding_rows: int = 0, embedding_width: int = 32, seed: int = 0) -> Path:
    """An OPT of two layers, tied, with learned positions; `embedding_width` may differ from the layers' 32."""
    length = write_plain_tokenizer(folder)
    torch.manual_seed(seed)
    config = OPTConfig(
        vocab_size=length + padding_rows,
        hidden_size=32,
        ffn_dim=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        word_embed_proj_dim=embedding_width,
        max_position_embeddings=256,
        init_std=0.4,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=1,
    )
    OPTForCausalLM(config).save_pretrained(folder)
    return folder


def write_clip(folder: Path, *, seed: int = 0) -> Path:
    """CLIP's vision tower of two layers, for pictures of 32 pixels."""
    torch.manual_seed(seed)
    sizes = {"hidden_size": FEATURE_WIDTH, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
    CLIPVisionModel(CLIPVisionConfig(**sizes, image_size=32, patch_size=8)).save_pretrained(folder)
    processor = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    processor.save_pretrained(folder)
    return folder


def write_sentence_encoder(folder: Path, *, seed: int = 0) -> Path:
    """A BERT of two layers that embeds at random, the same text always in the same way."""
    tokenizer = _train(["[PAD]", "[CLS]", "[SEP]"])
    ends = [("[CLS]", 1), ("[SEP]", 2)]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]")
    fast.save_pretrained(folder)
    torch.manual_seed(seed)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = BertConfig(vocab_size=len(fast), max_position_embeddings=64, initializer_range=0.4, **sizes)
    BertModel(config).save_pretrained(folder)
    return folder


def build(
    lm: Path,
    *,
    seed: int = 0,
    dropout: float = 0.0,
    dtype: str = "float32",
    lora: LoraSettings | None = None,
    **config,
) -> Fromage:
    """An untrained model over `lm`, whose standardisation is not the identity."""
    values = {"visual_tokens": VISUAL_TOKENS, "shared_width": SHARED_WIDTH} | config
    model = build_fromage(
        FromageConfig(language_model=str(lm), **values),
        feature_width=FEATURE_WIDTH,
        device="cpu",
        dtype=dtype,
        dropout=dropout,
        lora=lora,
        seed=seed,
    )
    model.trained.standardise.fit(2.0 * features(50, seed=7) + 0.5)
    return model


def draw_decision(model: Fromage, *, seed: int = 0) -> None:
    """Weights and statistics of a decision that says something, as after it is fitted."""
    generator = torch.Generator().manual_seed(seed)
    layer = model.trained.decision
    with torch.no_grad():
        layer.of_hidden.weight.normal_(std=3.0, generator=generator)
        layer.of_hidden.bias.normal_(std=3.0, generator=generator)
        layer.standardise.fit(2 * torch.randn(40, len(layer.standardise.mean), generator=generator) + 0.5)


def features(rows: int, *, seed: int = 0) -> Tensor:
    """(rows, F) float32."""
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(rows, FEATURE_WIDTH)).astype(np.float32))


def _train(special_tokens: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=special_tokens,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer
