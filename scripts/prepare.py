"""Makes what the chat needs: converted weights, and a catalogue, its features and its index by `jobs.pipeline`.

Each stage skips what is up to date, but only after starting Python and its imports. So the state of everything that
goes in and comes out (path, size and time of each file) is noted after a run, and nothing is started while it is
unchanged. A catalogue that was made before has no source for a pipeline to begin with, and is embedded and indexed.

    python -m scripts.prepare --catalogue wardrobe
"""

import argparse
import hashlib
import json
import logging
import re
import shlex
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from fromage_model.errors import MissingArtefact
from fromage_model.logs import dated_lines
from fromage_model.storage.artefacts import home, is_uri, locate, place
from fromage_model.storage.file_kinds import read_json
from scripts.supervise import Stopped, Supervisor

ROOT = Path(__file__).resolve().parents[1]
CODE = ("pyproject.toml", "constraints.txt", "fromage_model", "jobs")
OURS = {"wardrobe": "default", "openmoji": "openmoji"}
"""Catalogues that are sources by their name, nothing has to be brought for them; each with the bundle that is its."""
OTHERS_BUNDLE = "default"
ITEMS = {"wardrobe": 960}
"""Drawn, embedded and indexed in some three minutes on two cores; `jobs.ingest` draws as many as are asked for."""
SENTENCE_ENCODER = "all-minilm-l6-v2"
MODEL_ALONE = ("openmoji",)
"""Searched by the model alone, as tests and benchmarks measure it there; all others by words as well."""
EXIT_BAD_INPUT = 2
EXIT_STOPPED = 130

log = logging.getLogger(__name__)


class Unprepared(Exception):
    """What is missing, said to the user; `code` is the exit code to leave with."""

    def __init__(self, message: str, *, code: int = EXIT_BAD_INPUT):
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Choice:
    """A catalogue to prepare: its name, and the source to ingest, or None where it has been ingested before."""

    name: str
    source: str | None

    @property
    def hybrid(self) -> str | None:
        """The sentence encoder that its index is made with for hybrid search; None for none."""
        return None if self.name in MODEL_ALONE else SENTENCE_ENCODER


@dataclass(frozen=True)
class Step:
    """One command, with what it is for."""

    title: str
    command: tuple[str, ...]


def choose(catalogue: str) -> Choice:
    """What `CATALOGUE=` names: one of ours, a feed or folder (named after its stem), or one made before."""
    if catalogue in OURS:
        return Choice(catalogue, catalogue)
    path = Path(catalogue).expanduser()
    if path.exists():
        name = re.sub(r"[^A-Za-z0-9_-]+", "-", path.resolve().stem).strip("-").lower()
        if name in ("", *OURS):
            raise Unprepared(f"CATALOGUE={catalogue}: the name {name!r} is taken or empty; rename the file or folder")
        return Choice(name, str(path.resolve()))
    if is_uri(catalogue):
        raise Unprepared(
            f"CATALOGUE={catalogue}: a URI can't be prepared here; download it, and name the file or folder"
        )
    if place("catalogue", catalogue).is_dir():
        return Choice(catalogue, None)
    known = home() / "catalogues"
    raise Unprepared(
        f"CATALOGUE={catalogue}: there is no such file or folder, and no catalogue of that name in {known}"
    )


def bundle_for(catalogue: str, bundle: str = "") -> str:
    """The bundle that is asked for, or else the one that was trained for a catalogue of ours."""
    return bundle or OURS.get(catalogue, OTHERS_BUNDLE)


def steps(choice: Choice, *, bundle: str) -> list[Step]:
    """The jobs in the order in which they build on one another. Raises Unprepared where there is no such bundle."""
    job = (sys.executable, "-m")
    weights, encoder = Step("weights", (*job, "fromage_model.storage.pretrained")), _encoder_of(bundle)
    if choice.source:
        config = str(home() / "prepared" / f"{choice.name}.yaml")
        return [weights, Step("catalogue, features and index", (*job, "jobs.pipeline", "--config", config))]
    hybrid = () if choice.hybrid is None else ("--hybrid", choice.hybrid)
    return [
        weights,
        Step("features", (*job, "jobs.embed", "--catalogue", choice.name, "--encoder", encoder)),
        Step("index", (*job, "jobs.index", "--catalogue", choice.name, "--bundle", bundle, *hybrid)),
    ]


def pipeline_of(choice: Choice, *, bundle: str) -> dict[str, Any]:
    """What `jobs.pipeline` is to do for a catalogue with a source."""
    items = ITEMS.get(str(choice.source))
    ingest = {"source": choice.source, "max_failed": 1.0} | ({"items": items} if items else {})
    index = {} if choice.hybrid is None else {"hybrid": choice.hybrid}
    found = str(Path(bundle).resolve()) if Path(bundle).is_dir() else bundle
    return {"name": choice.name, "bundle": found, "ingest": ingest, "index": index}


def prepare(supervisor: Supervisor, *, catalogue: str, bundle: str) -> str:
    """Run the jobs unless nothing has changed since they last ran; return the catalogue's name.

    Raises Unprepared when a job fails, with the job's exit code.
    """
    choice = choose(catalogue)
    record = home() / "prepared" / f"{choice.name}.json"
    if record.is_file() and json.loads(record.read_text()) == {"state": _state(choice, bundle=bundle)}:
        log.info("artefacts of %r in %s are up to date", choice.name, home())
        return choice.name
    todo = steps(choice, bundle=bundle)
    record.parent.mkdir(parents=True, exist_ok=True)
    if choice.source:
        record.with_suffix(".yaml").write_text(yaml.safe_dump(pipeline_of(choice, bundle=bundle), sort_keys=False))
    for number, step in enumerate(todo, 1):
        start_s = time.monotonic()
        at = f"[{number}/{len(todo)}] {step.title}"
        log.info("%s: %s", at, shlex.join(("python", *step.command[1:])))
        code = supervisor.run(step.command)
        if code:
            raise Unprepared(
                f"the {step.title} could not be made (exit code {code}); the reason stands above", code=code
            )
        log.info("%s: done in %.0f s", at, time.monotonic() - start_s)
    record.write_text(json.dumps({"state": _state(choice, bundle=bundle)}))
    return choice.name


def _encoder_of(bundle: str) -> str:
    """The vision encoder that the bundle wants features of."""
    try:
        header = read_json(locate("bundle", bundle) / "bundle.json")
        return str(header["config"]["vision_encoder"])
    except MissingArtefact as error:
        raise Unprepared(f"BUNDLE={bundle}: {error}") from error
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise Unprepared(f"BUNDLE={bundle}: its bundle.json can't be read: {error}") from error


def _state(choice: Choice, *, bundle: str) -> str:
    """A hash over path, size and time of all that goes into the jobs and of the artefacts that they wrote."""
    sources = [] if choice.source in (None, *OURS) else [Path(str(choice.source))]
    outputs = [place("catalogue", choice.name), place("features", choice.name), place("index", choice.name)]
    bundles = [] if is_uri(bundle) else [place("bundle", bundle)]
    inputs = [*(ROOT / name for name in CODE), *bundles, home() / "weights", *sources]
    digest = hashlib.sha256(f"{sys.version} {bundle} {choice}\n".encode())
    # Of what the jobs wrote, the top of each folder is enough: tables and manifests. Pictures can be a million files.
    written = (file for folder in outputs for file in sorted(folder.glob("*")) if file.is_file())
    for path in [*_files(inputs), *written]:
        stat = path.stat()
        digest.update(f"{path}\t{stat.st_size}\t{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        below = (path,) if path.is_file() else sorted(path.rglob("*"))
        yield from (file for file in below if file.is_file() and "__pycache__" not in file.parts)


def parser(description: str | None) -> argparse.ArgumentParser:
    """The options that preparing and the demo share."""
    options = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument(
        "--catalogue", default=next(iter(OURS)), help="wardrobe, openmoji, a feed, a folder, or a known name."
    )
    options.add_argument(
        "--bundle", default="", help="Model bundle that the index is made with; without it, the catalogue's own."
    )
    return options


def main() -> None:
    args = parser(__doc__).parse_args()
    dated_lines(news_to_stdout=True)
    try:
        prepare(Supervisor(), catalogue=args.catalogue, bundle=bundle_for(args.catalogue, args.bundle))
    except Unprepared as error:
        log.error("%s", error)
        sys.exit(error.code)
    except Stopped:
        sys.exit(EXIT_STOPPED)


if __name__ == "__main__":
    main()
