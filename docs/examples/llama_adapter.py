"""Caption pictures with LLaMA-Adapter V2 from the original's own files.

    python docs/examples/llama_adapter.py LLAMA_DIR CHECKPOINT CLIP PICTURE [PICTURE ...]

LLAMA_DIR holds `tokenizer.model` and `7B/`; CHECKPOINT is `BIAS-7B.pth`, `LORA-BIAS-7B.pth` or `CAPTION-7B.pth` as
released by OpenGVLab; CLIP is `openai/clip-vit-large-patch14` or its folder.
"""

import sys
from pathlib import Path

from fromage_model.llama_adapter import LlamaAdapter
from fromage_model.vision.images import decode_image


def main(llama_dir: str, checkpoint: str, clip: str, *pictures: str) -> None:
    model = LlamaAdapter.from_original(llama_dir, checkpoint, clip)
    images = [decode_image(Path(picture).read_bytes()) for picture in pictures]

    # All pictures are written together; each one's caption is what it would be alone.
    for picture, caption in zip(pictures, model.captions(images, temperature=0.0), strict=True):
        print(f"{picture}: {caption}")

    # Any instruction works; a seed makes the drawn words repeatable.
    wear = model.captions(images, "When would one wear this?", max_new_tokens=48, temperature=0.7, top_p=0.9, seed=0)
    for picture, answer in zip(pictures, wear, strict=True):
        print(f"{picture}: {answer}")


if __name__ == "__main__":
    main(*sys.argv[1:])
