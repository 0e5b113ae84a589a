"""FROZEN in a notebook's length: train an image prefix for a frozen LM, show it two examples, ask about a third.

    python docs/examples/frozen.py
    python docs/examples/frozen.py --language-model gpt2 --visual-map duel

The pictures are patches of colour, so that a few steps on a CPU are enough to see it learn; real training takes
millions of captioned pictures (Tsimpoukelli et al. 2021 used Conceptual Captions).
"""

import argparse
import tempfile

import torch
from PIL import Image

from fromage_model import FrozenModel
from fromage_model.frozen.prompts import Demonstration, few_shot_parts

COLOURS = ("red", "green", "blue", "yellow")


def patches(*, seed: int) -> list[Image.Image]:
    """One patch of each colour, a little off its pure tone."""
    generator = torch.Generator().manual_seed(seed)
    pictures = []
    for colour in COLOURS:
        pure = torch.tensor(Image.new("RGB", (1, 1), colour).getpixel((0, 0)))
        shifted = (pure + torch.randint(-30, 31, (3,), generator=generator)).clamp(0, 255)
        pictures.append(Image.new("RGB", (64, 64), tuple(shifted.tolist())))
    return pictures


def train(model: FrozenModel, *, steps: int) -> list[float]:
    """A few steps on captioned patches -> the loss of each. The LM's weights stay as they are."""
    optimiser = torch.optim.AdamW((one for one in model.parameters() if one.requires_grad), lr=1e-3)
    captions = [f"A {colour} patch." for colour in COLOURS]
    history = []
    model.train()
    for step in range(steps):
        loss = model.caption_loss(patches(seed=step), captions).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        history.append(loss.item())
    model.eval()
    return history


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--language-model", default="smollm2-135m-instruct", help="a name or a folder")
    parser.add_argument("--vision-encoder", default="efficientnet-lite0", help="a name or a folder")
    parser.add_argument("--visual-map", default="global", choices=["global", "local", "duel", "grid"])
    parser.add_argument("--steps", type=int, default=30)
    options = parser.parse_args()

    # The first stages of a trained encoder see edges and colours already: only the last ones and the map learn here.
    model = FrozenModel.from_pretrained(
        options.language_model, vision_encoder=options.vision_encoder, visual_map=options.visual_map, frozen_stages=2
    )
    history = train(model, steps=options.steps)
    print(f"loss {history[0]:.3f} -> {history[-1]:.3f}")

    unseen = patches(seed=1_000_000)
    for colour, caption in zip(COLOURS, model.captions(unseen, max_new_tokens=8), strict=True):
        print(f"{colour}: {caption}")

    red, green, blue, _ = unseen
    shots = [Demonstration(red, " This is a dax."), Demonstration(green, " This is a blicket.")]
    parts = few_shot_parts([blue, " This is a"], shots, task_induction="Answer with dax or blicket.", repeats=2)
    for blind in (False, True):
        scores = model.score_choices(model.prompt(parts, blind=blind), [" dax", " blicket"])
        sums = ", ".join(f"{value:.2f}" for value in scores.log_likelihoods.tolist())
        print(f"{'blind' if blind else 'seeing'}: log-likelihoods of dax and blicket {sums}")

    with tempfile.TemporaryDirectory() as folder:
        model.save(f"{folder}/model", lineage={"data": "patches of colour", "steps": options.steps})
        again = FrozenModel.load(f"{folder}/model")
        same = again.captions(unseen, max_new_tokens=8) == model.captions(unseen, max_new_tokens=8)
        print(f"saved and loaded: captions {'equal' if same else 'differ'}")


if __name__ == "__main__":
    main()
