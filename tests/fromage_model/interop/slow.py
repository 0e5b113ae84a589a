"""The original FROMAGe computed slowly, from raw tensors and transformers' models, and a folder laid out as its own."""

from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from transformers import AutoTokenizer, CLIPVisionModel, OPTForCausalLM
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from fromage_model.fromage import Fromage
from fromage_model.interop import load_original
from tests.fromage_model import tiny
from tests.fromage_model.interop import originals

TEXTS = ["A red dress for the winter", "shoes", "Have you got something warm?"]
PICTURES = [Image.new("RGB", (40, 50), "firebrick"), Image.new("RGB", (32, 32), "navy")]


@dataclass(frozen=True)
class Slow:
    """The original's model: raw tensors, transformers, one text at a time."""

    lm: OPTForCausalLM
    clip: CLIPVisionModel
    tokenizer: object
    processor: object
    weights: dict[str, Tensor]
    layers: tuple[int, ...]

    @classmethod
    def over(cls, lms: Path, clip: Path, weights: dict[str, Tensor], layers: tuple[int, ...] = (-1,)) -> "Slow":
        return cls(
            OPTForCausalLM.from_pretrained(lms).eval(),
            CLIPVisionModel.from_pretrained(clip).eval(),
            AutoTokenizer.from_pretrained(lms),
            CLIPImageProcessorPil.from_pretrained(clip),
            weights,
            layers,
        )

    def linear(self, name: str, x: Tensor) -> Tensor:
        """The map; where the weights have none, as without a shared_emb_dim, nothing happens."""
        if f"{name}.weight" not in self.weights:
            return x
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    @torch.no_grad()
    def pooled(self, picture: Image.Image) -> Tensor:
        pixels = self.processor(images=picture.convert("RGB"), return_tensors="pt")["pixel_values"]
        return self.clip(pixel_values=pixels).pooler_output[0]

    def image(self, picture: Image.Image) -> Tensor:
        """get_visual_embs(mode="retrieval"), not normalised."""
        return self.linear("model.visual_fc", self.pooled(picture))

    def prefix(self, picture: Image.Image, visual_tokens: int) -> Tensor:
        """get_visual_embs(mode="captioning")."""
        return self.linear("model.visual_embeddings", self.pooled(picture)).reshape(visual_tokens, -1)

    @torch.no_grad()
    def read(self, text: str) -> tuple[Tensor, Tensor]:
        """A text and [RET] -> its unit embedding, and the logits after it: the LM's tokens, the image's, [RET]."""
        table = self.lm.get_input_embeddings().weight
        row = self.weights["ret_input_embeddings.weight"]
        ids = self.tokenizer(text)["input_ids"]
        assert ids[0] == self.tokenizer.bos_token_id
        embeddings = torch.cat([table[ids], row])[None]
        output = self.lm(inputs_embeds=embeddings, use_cache=False, output_hidden_states=True)
        last = self.lm.model(inputs_embeds=embeddings, use_cache=False).last_hidden_state[0, -1]
        depth = self.lm.config.num_hidden_layers
        states = [
            self.linear(
                f"model.text_hidden_fcs.{place}.0",
                last if layer in (-1, depth) else output.hidden_states[layer][0, -1],
            )
            for place, layer in enumerate(self.layers)
        ]
        total = torch.stack(states).sum(dim=0)
        rows = torch.cat([table[: len(self.tokenizer) + 1], row])
        return total / total.norm(), rows @ last


def write_folder(
    folder: Path,
    lm: Path,
    clip: Path,
    *,
    layers: tuple[int, ...] = (-1,),
    dtype: torch.dtype = torch.float32,
    shared: int | None = 8,
    table_width: int = 32,
    **changes,
) -> dict[str, Tensor]:
    """The original's folder, with 5 catalogue embeddings in two files -> the trained tensors as they are rounded."""
    folder.mkdir(exist_ok=True)
    widths = [table_width if layer == -1 else 32 for layer in layers]
    tensors = originals.trained(lm=table_width, features=tiny.FEATURE_WIDTH, shared=shared, visual=2, widths=widths)
    originals.write_pruned(folder / "pretrained_ckpt.pth.tar", tensors, dtype=dtype)
    originals.write_args(
        folder / "model_args.json",
        originals.PAPER_ARGS,
        **{
            "opt_version": str(lm),
            "visual_encoder": str(clip),
            "n_visual_tokens": 2,
            "shared_emb_dim": shared,
            "text_emb_layers": list(layers),
            "colour": "unknown to us",
        }
        | changes,
    )
    vectors = torch.randn(5, shared or widths[0], generator=torch.Generator().manual_seed(5)) * 3
    originals.write_embeddings(folder / "cc3m_embeddings_1.pkl", vectors[:3].bfloat16(), form="tensors")
    originals.write_embeddings(folder / "cc3m_embeddings_2.pkl", vectors[3:], form="array")
    return {name: tensor.to(dtype).float() for name, tensor in tensors.items()}


def opened(folder: Path) -> Fromage:
    return load_original(folder, device="cpu", dtype=torch.float32)
