"""1,000-px JPEG files -> feature shards: `jobs.embed`, Ray Data included, against a loop of one at a time; its memory.

The loop does what the original FROMAGe does for each picture: open it, let CLIP's processor make it small, one forward
pass in float32. The serial limit is what decoding and then encoding, each on all cores and nothing else, would reach:
1 / (1 / forward rate + 1 / decode rate), in the job's number format. Both are measured on samples before and after the
job. Ray runs before the clock does, as on a cluster that takes jobs; the job's actors start within it. The encoder has
the shape of CLIP ViT-B/32 and random weights.

Memory is the sum over the job's process tree, Ray's own processes among them, of each process's share of its pages
(PSS), at its peak. It is measured with small pictures and two of the encoder's twelve layers, so that it takes minutes;
decoding is still much faster than encoding, which is when pictures would pile up. Linux only: it reads /proc.

    python -m tests.benchmarks.embedding
"""

import io
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from statistics import mean

import numpy as np
import pyarrow as pa
import torch
import tyro
from PIL import Image
from transformers import CLIPVisionModel
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from fromage_model.catalogue import SCHEMA, Catalogue
from fromage_model.catalogue.table import write_catalogue
from fromage_model.storage.artefacts import writing
from fromage_model.vision.encoders import load_squares, load_vision_encoder
from fromage_model.vision.images import DECODED_AT_PX, decode_image
from jobs.common.reporting.report import Stopwatch, ray_session
from jobs.embed.job import EmbedArgs, fastest_compute
from jobs.embed.job import main as embed
from tests.benchmarks.common import shapes
from tests.benchmarks.common.memory import tree_bytes
from tests.pictures import encoded

LOOP, FORWARD, DECODE = "one at a time, as the original", "forward alone, batches", "decoding alone"
# Octaves of noise that together look to a JPEG decoder like a photograph: about 140 kB at 1,000 px.
OCTAVES = ((4, 1.0), (16, 0.5), (64, 0.25), (256, 0.12))
SAMPLE_EVERY_S = 0.25


@dataclass(frozen=True)
class Args:
    """Compare ways of making features."""

    shape: str = "opt-125m"
    """Whose encoder, one of tests.benchmarks.common.shapes; that of opt-125m is CLIP ViT-B/32."""
    pictures: int = 4000
    """Pictures that the job embeds against the clock."""
    distinct: int = 48
    """How many of them differ; the others are the same files by other names, which the job does not know."""
    side_px: int = 1000
    """Width and height of each."""
    sample: int = 32
    """Pictures that the loop embeds, each time; forward and decoding take four times as many."""
    batch_size: int = 32
    """Pictures that go through the encoder at once."""
    memory_pictures: tuple[int, ...] = (2000, 8000)
    """Sizes of the catalogues whose peak memory is told; none, and it is left out."""
    memory_side_px: int = 96
    """Width and height of their pictures."""


def main(args: Args) -> dict:
    """-> what the JSON line says."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shape = shapes.SHAPES[args.shape]
        encoder = shapes.write_encoder(folder / "encoder", shape)
        figures = speeds(folder, encoder, args)
        small = shapes.write_encoder(folder / "small", replace(shape, vision_layers=2))
        peaks = {str(count): peak_mb(folder, small, count, args) for count in args.memory_pictures}
    for count, peak in peaks.items():
        print(f"{count:>6} pictures of {args.memory_side_px} px, 2 layers: {peak:.0f} MB at the peak, all processes")
    figures |= {"peak_rss_mb": peaks}
    print(json.dumps(figures))
    return figures


def speeds(folder: Path, encoder: Path, args: Args) -> dict[str, float]:
    """The job's rate over that of the loop, and over the serial limit."""
    catalogue = write_pictures(folder / "large", args.pictures, args.distinct, args.side_px)
    data = [catalogue.image_bytes(item.id) for item in catalogue.items()[: args.distinct]]
    out = folder / "features"
    with ProcessPoolExecutor(os.cpu_count(), mp_context=multiprocessing.get_context("spawn")) as pool, ray_session():
        before = baselines(data, encoder, pool, args)
        watch = Stopwatch()
        options = EmbedArgs(
            catalogue=str(catalogue.folder),
            encoder=str(encoder),
            out=str(out),
            batch_size=args.batch_size,
            threads=os.cpu_count() or 1,
        )
        report = embed(options)
        rate = args.pictures / watch.seconds
        after = baselines(data, encoder, pool, args)
    if report.rows_out != args.pictures:
        raise RuntimeError(f"expected {args.pictures} rows, got {report.as_dict()}")
    rates = {name: mean((before[name], after[name])) for name in before}
    limit = 1 / (1 / rates[FORWARD] + 1 / rates[DECODE])
    print(f"{args.side_px}-px JPEG files, {args.shape}'s encoder, {os.cpu_count()} CPUs{'pictures/s':>14}")
    for name, found in (rates | {"serial limit": limit, f"jobs.embed, {args.pictures} pictures": rate}).items():
        print(f"{name:46}{found:14.2f}")
    return {"speedup_over_one_at_a_time": round(rate / rates[LOOP], 3), "share_of_serial_limit": round(rate / limit, 3)}


def baselines(data: Sequence[bytes], encoder: Path, pool: ProcessPoolExecutor, args: Args) -> dict[str, float]:
    """Pictures a second of each way, on all cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(os.cpu_count() or 1)
    sample = [data[number % len(data)] for number in range(args.sample)]
    many = [data[number % len(data)] for number in range(4 * args.sample)]
    original = CLIPVisionModel.from_pretrained(encoder).eval(), CLIPImageProcessorPil.from_pretrained(encoder)
    batched = load_vision_encoder(str(encoder), dtype=getattr(torch, fastest_compute(str(encoder), "cpu")))
    squares = load_squares(str(encoder))([decode_image(one) for one in many[: args.batch_size]])
    starts = range(0, len(many), args.batch_size)
    chunks = [many[start : start + 4] for start in range(0, len(many), 4)]
    list(pool.map(decode, chunks[: 2 * (os.cpu_count() or 1)], [str(encoder)] * len(chunks)))
    one_at_a_time(*original, sample[:2])
    batched.encode_squares(squares)
    rates = {
        LOOP: len(sample) / seconds_of(lambda: one_at_a_time(*original, sample)),
        FORWARD: len(starts) * args.batch_size / seconds_of(lambda: [batched.encode_squares(squares) for _ in starts]),
        DECODE: len(many) / seconds_of(lambda: list(pool.map(decode, chunks, [str(encoder)] * len(chunks)))),
    }
    torch.set_num_threads(threads)
    return rates


def one_at_a_time(encoder: CLIPVisionModel, processor: CLIPImageProcessorPil, data: Sequence[bytes]) -> None:
    """The original's way: a picture in full size to transformers' processor, and its pixels to transformers' model."""
    with torch.inference_mode():
        for one in data:
            picture = Image.open(io.BytesIO(one)).convert("RGB")
            encoder(processor(picture, return_tensors="pt")["pixel_values"]).pooler_output[0].tolist()


def decode(data: Sequence[bytes], encoder: str) -> None:
    """In a process of its own: what the job's decoding actors do with pictures."""
    squares = squares_of(encoder)
    for one in data:
        squares([decode_image(one, target_px=DECODED_AT_PX)]).tobytes()


@cache
def squares_of(encoder: str) -> Callable[[Sequence[Image.Image]], np.ndarray]:
    """Made once in each process."""
    return load_squares(encoder)


def seconds_of(work: Callable[[], object]) -> float:
    start_s = time.perf_counter()
    work()
    return time.perf_counter() - start_s


def write_pictures(folder: Path, count: int, distinct: int, side_px: int) -> Catalogue:
    """A catalogue of JPEG files in which every `distinct`-th is the same."""
    data = [encoded(photograph(number, side_px), "JPEG", quality=90) for number in range(min(distinct, count))]
    hashes = [sha256(one).hexdigest() for one in data]
    rows = []
    with writing(folder) as scratch:
        (scratch / "images").mkdir()
        for number in range(count):
            name = f"images/{number}.jpg"
            if number < len(data):
                (scratch / name).write_bytes(data[number])
            else:
                (scratch / name).hardlink_to(scratch / f"images/{number % len(data)}.jpg")
            rows.append(
                {
                    "id": f"{number:08d}",
                    "image": name,
                    "image_sha256": hashes[number % len(data)],
                    "source": "benchmark",
                    "group": str(number),
                    "split": "train",
                    "updated_at": datetime(2026, 1, 1, tzinfo=UTC),
                }
            )
        table = pa.Table.from_pylist(rows, schema=SCHEMA)
        write_catalogue(scratch, table=table, failures=[], info={"name": folder.name})
    return Catalogue.open(folder)


def photograph(number: int, side_px: int) -> Image.Image:
    """Noise of several scales, drawn by the number."""
    draws = np.random.default_rng(number)
    total = np.zeros((side_px, side_px, 3), np.float32)
    for cells, weight in OCTAVES:
        coarse = Image.fromarray(draws.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
        total += weight * np.asarray(coarse.resize((side_px, side_px), Image.Resampling.BICUBIC), np.float32)
    return Image.fromarray((total / sum(weight for _, weight in OCTAVES)).astype(np.uint8))


def peak_mb(folder: Path, encoder: Path, count: int, args: Args) -> float:
    """Peak memory in MB (10^6 bytes) of the job as a command with a Ray of its own, over so many pictures."""
    catalogue = write_pictures(folder / f"small-{count}", count, args.distinct, args.memory_side_px)
    command = [sys.executable, "-m", "jobs.embed", "--catalogue", str(catalogue.folder), "--encoder", str(encoder)]
    command += ["--out", str(folder / f"features-{count}"), "--batch-size", str(args.batch_size)]
    alone = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    peak = 0
    with subprocess.Popen(command, env=alone, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            peak = max(peak, tree_bytes(process.pid))
            time.sleep(SAMPLE_EVERY_S)
        if process.returncode:
            raise RuntimeError(f"jobs.embed ended with {process.returncode}: {process.stderr.read()[-2000:]}")
    return round(peak / 1e6, 1)


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
