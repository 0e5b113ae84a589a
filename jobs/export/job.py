"""Artefacts of ours <-> files of the projects that we come from, one subcommand for each form. Needs no Ray.

    original      a bundle and an index -> a folder that the original FROMAGe opens
    embeddings    an index -> the original's catalogue embeddings, a .pkl
    bundle        the original's folder -> a bundle, and an index of its embeddings
    prune         the original's training checkpoint -> its pruned form
    unprune       pruned weights, laid over a training checkpoint, from which the original's training resumes
    tsv           a catalogue -> captions and images as Conceptual Captions has them
    parquet       an index -> items and vectors in one plain parquet file
    dataset       a catalogue -> a folder that Hugging Face's load_dataset opens, pictures inside
    frozen-arrow  a catalogue, or COCO's or VQAv2's official files -> the original FROZEN's training files

Each says more with --help. Files from outside are read without running anything that stands in them.

    python -m jobs.export original --bundle default --index wardrobe --out exported
"""

import logging
import re
from dataclasses import fields
from pathlib import Path

from fromage_model.errors import ConfigError
from fromage_model.storage.artefacts import is_uri, place
from jobs.common.durable.publish import placing
from jobs.common.reporting.report import Report, Stopwatch
from jobs.export.forms import LAST, Bundle, ExportArgs, FrozenArrow

log = logging.getLogger(__name__)


def main(args: ExportArgs) -> Report:
    """Write one form. Raises FromageError for what the user can put right."""
    watch = Stopwatch()
    refuse_uris(args)
    if isinstance(args, Bundle):
        written, output = args.write(), str(place("bundle", args.out))
    else:
        with placing(args.out, last=LAST.get(type(args), "")) as out:
            written, output = args.write(out), args.out
    log.info("wrote %s", output)
    form = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", type(args).__name__).lower()
    return Report(
        "export",
        rows_in=written.rows,
        rows_out=written.rows - written.failed,
        rows_failed=written.failed,
        seconds=watch.seconds,
        output=output,
        failures=None,
        form=form,
    )


def refuse_uris(args: ExportArgs) -> None:
    """Raises ConfigError where a file of an original is named by a URI, of which a Path has kept one slash."""
    if isinstance(args, FrozenArrow) and is_uri(args.out):
        raise ConfigError(f"--out {args.out}: arrow files are written to a local folder; copy them from there")
    for field in fields(args):
        value = getattr(args, field.name)
        if isinstance(value, Path) and (found := re.match(r"([a-z][a-z0-9+.-]+):/", str(value))):
            raise ConfigError(
                f"--{field.name} {found[1]}://...: files of the original are read from a local folder; copy them here "
                "first. Bundles, indexes and catalogues may be URIs"
            )
