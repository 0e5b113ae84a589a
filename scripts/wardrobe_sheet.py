"""A contact sheet of the wardrobe: its drawings side by side in one PNG, to look at after a change to them.

python -m scripts.wardrobe_sheet --kind dress --out /tmp/dresses.png
"""

import argparse
import io
from itertools import islice
from pathlib import Path

from PIL import Image

from fromage_model.catalogue.wardrobe.choose import looks
from fromage_model.catalogue.wardrobe.drawing import drawn
from fromage_model.catalogue.wardrobe.look import Look
from fromage_model.vision.drawings import rasterised


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="the PNG to write")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="how many garments to pass over")
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--columns", type=int, default=10)
    parser.add_argument("--side-px", type=int, default=180)
    for name in ("kind", "colour", "pattern", "material"):
        parser.add_argument(f"--{name}", help=f"only this {name}")
    args = parser.parse_args()
    wanted = {name: value for name in ("kind", "colour", "pattern", "material") if (value := getattr(args, name))}
    shown = _shown(args.seed, wanted, args.first, args.count)
    sheet = Image.new("RGB", (args.columns * args.side_px, -(-len(shown) // args.columns) * args.side_px), "white")
    for place, look in enumerate(shown):
        picture = rasterised(drawn(look, folds=f"{args.seed} {place}").encode(), side_px=args.side_px)
        at = (place % args.columns * args.side_px, place // args.columns * args.side_px)
        sheet.paste(Image.open(io.BytesIO(picture)).convert("RGB"), at)
    sheet.save(args.out)


def _shown(seed: int, wanted: dict[str, str], first: int, count: int) -> list[Look]:
    found = (look for look in islice(looks(seed), 20_000) if all(getattr(look, k) == v for k, v in wanted.items()))
    return list(islice(found, first, first + count))


if __name__ == "__main__":
    main()
