"""Tiny image-text-to-text models with the processors of their kind, written as `save_pretrained` writes them."""

import json
from pathlib import Path

import torch
from tokenizers import AddedToken
from transformers import (
    AutoTokenizer,
    CLIPVisionConfig,
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    Idefics3Processor,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    MllamaConfig,
    MllamaForConditionalGeneration,
    MllamaProcessor,
    SmolVLMConfig,
    SmolVLMForConditionalGeneration,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
from transformers.models.mllama.image_processing_pil_mllama import MllamaImageProcessorPil
from transformers.models.smolvlm.image_processing_pil_smolvlm import SmolVLMImageProcessorPil

from tests.fromage_model.tiny import write_plain_tokenizer

TEMPLATE = (
    "{% for message in messages %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endfor %}:"
)
_IDEFICS_TOKENS = ["<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>"]


def write_llava(folder: Path) -> Path:
    """CLIP's tower of pictures of 32 pixels in front of a LLaMA; no chat template."""
    tokenizer = _tokenizer(folder, ["<image>"])
    processor = LlavaProcessor(
        image_processor=CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}),
        tokenizer=tokenizer,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
    )
    vision = CLIPVisionConfig(
        hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=32, patch_size=8
    )
    config = LlavaConfig(
        vision_config=vision,
        text_config=_text_config(len(tokenizer)),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-1,
    )
    return _write(folder, LlavaForConditionalGeneration, config, processor)


def write_idefics3(folder: Path) -> Path:
    """Idefics3, which SmolVLM 1 is: pictures of different sizes, cut into tiles, make prompts of different length."""
    return _write_tiled(folder, Idefics3Config, Idefics3ForConditionalGeneration, Idefics3ImageProcessorPil)


def write_smolvlm(folder: Path) -> Path:
    """SmolVLM2, with the files that the hub has, where the processor is named as the one that reads videos, too."""
    _write_tiled(folder, SmolVLMConfig, SmolVLMForConditionalGeneration, SmolVLMImageProcessorPil)
    header = folder / "processor_config.json"
    settings = json.loads(header.read_text())
    pictures = settings.pop("image_processor") | {"processor_class": "SmolVLMProcessor"}
    (folder / "preprocessor_config.json").write_text(json.dumps(pictures))
    header.write_text(json.dumps(settings | {"processor_class": "SmolVLMProcessor"}))
    return folder


def _write_tiled(folder: Path, config_class, model_class, image_processor_class) -> Path:
    rows = [f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)]
    tokenizer = _tokenizer(folder, [*_IDEFICS_TOKENS, *rows])
    image_processor = image_processor_class(size={"longest_edge": 64}, max_image_size={"longest_edge": 32})
    processor = Idefics3Processor(
        image_processor=image_processor, tokenizer=tokenizer, image_seq_len=4, chat_template=TEMPLATE
    )
    config = config_class(
        vision_config={
            "hidden_size": 16,
            "intermediate_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 32,
            "patch_size": 8,
        },
        text_config=_text_config(len(tokenizer)),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        pad_token_id=0,
    )
    return _write(folder, model_class, config, processor)


def write_mllama(folder: Path) -> Path:
    """LLaMA 3.2 Vision: the second of three layers attends to the picture's tiles, through gates that stand open."""
    tokenizer = _tokenizer(folder, ["<|python_tag|>", "<|image|>"])
    processor = MllamaProcessor(
        image_processor=MllamaImageProcessorPil(size={"height": 32, "width": 32}, max_image_tiles=4),
        tokenizer=tokenizer,
        chat_template="{{ bos_token }}" + TEMPLATE.replace("<image>", "<|image|>"),
    )
    text = _text_config(len(tokenizer) - 1)
    names = ("hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads", "vocab_size")
    names += ("max_position_embeddings", "initializer_range", "bos_token_id", "eos_token_id", "pad_token_id")
    config = MllamaConfig(
        vision_config={
            "hidden_size": 16,
            "intermediate_size": 32,
            "num_hidden_layers": 2,
            "num_global_layers": 1,
            "attention_heads": 2,
            "image_size": 32,
            "patch_size": 8,
            "intermediate_layers_indices": [0],
            "vision_output_dim": 32,
        },
        text_config={name: getattr(text, name) for name in names}
        | {"num_hidden_layers": 3, "cross_attention_layers": [1]},
        image_token_index=tokenizer.convert_tokens_to_ids("<|image|>"),
    )
    return _write(folder, MllamaForConditionalGeneration, config, processor)


def _tokenizer(folder: Path, added: list[str]):
    write_plain_tokenizer(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens([AddedToken(token, special=True, normalized=False) for token in added], special_tokens=True)
    tokenizer.pad_token = "</s>"
    return tokenizer


def _text_config(vocabulary: int) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        initializer_range=0.4,
        max_position_embeddings=512,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )


def _write(folder: Path, model_class, config, processor) -> Path:
    torch.manual_seed(0)
    config.initializer_range = 0.4
    model = model_class(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("_gate"):
                parameter.fill_(1.0)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
