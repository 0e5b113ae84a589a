"""What a pipeline.yaml may say: sections named after jobs, checked against these jobs' own options. Runs nothing."""

import dataclasses
import difflib
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, get_type_hints

import yaml
from pydantic import TypeAdapter, ValidationError

from fromage_model.errors import ConfigError, FromageError
from fromage_model.storage.artefacts import FOLDERS, Kind, is_uri, locate
from jobs.pipeline.paths import beside, from_anywhere, is_path, path_or_name

# Section -> the module of its options, their class, and the options that the pipeline sets itself.
SECTIONS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "ingest": ("jobs.ingest.job", "IngestArgs", ("out",)),
    "caption": ("jobs.caption.job", "CaptionArgs", ("catalogue",)),
    "embed": ("jobs.embed.job", "EmbedArgs", ("catalogue", "out")),
    "finetune": ("jobs.finetune.settings", "FinetuneArgs", ("catalogue", "features", "out")),
    "index": ("jobs.index.job", "IndexArgs", ("catalogue", "features", "bundle", "out")),
}
OPTIONAL = ("caption", "finetune")
TOP_LEVEL = ("name", "root", "bundle", *SECTIONS)
DEFAULT_BUNDLE = "default"
# What lies below `root`.
TIED: tuple[Kind, ...] = ("catalogue", "features", "index")


@dataclass(frozen=True)
class Pipeline:
    """A checked pipeline: `stages` are the jobs' options by section, in the order in which they run.

    `catalogue` and `index` are where those will be: a name, a folder or a URI.
    """

    name: str
    bundle: str
    catalogue: str
    index: str
    stages: dict[str, Any]


def read_pipeline(path: Path) -> Pipeline:
    """Raises ConfigError, which names the file, the place in it, and what would work."""
    try:
        content = yaml.safe_load(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected sections such as `ingest:`, got {type(content).__name__}")
    _check_keys(content, TOP_LEVEL, where=str(path))
    name = _text(content, "name", path)
    if is_uri(name) or is_path(name):
        raise ConfigError(
            f"{path}: name is {name!r}; expected a name without folders, such as shop; folders and URIs go into `root`"
        )
    if "finetune" in content and "bundle" in content:
        raise ConfigError(f"{path}: bundle goes without finetune, which makes one; a start is finetune.start_from")
    served = _text(content, "bundle", path, default=DEFAULT_BUNDLE)
    bundle = name if "finetune" in content else path_or_name(served, path, kind="bundle")
    root = beside(_text(content, "root", path), path).rstrip("/") if "root" in content else None
    places = {kind: f"{root}/{FOLDERS[kind]}/{name}" if root else name for kind in TIED}
    stages = {}
    for section in SECTIONS:
        if section in content or section not in OPTIONAL:
            given = content.get(section) or {}
            if section == "embed" and "finetune" not in content and isinstance(given, dict):
                given = _encoder_of(bundle) | given
            out = {"ingest": places["catalogue"], "embed": places["features"], "index": places["index"]}
            tied = places | {"bundle": bundle, "out": out.get(section, name)}
            stages[section] = _options(section, given, tied=tied, path=path)
    return Pipeline(name, bundle, places["catalogue"], places["index"], stages)


def _encoder_of(bundle: str) -> dict[str, str]:
    """The option that makes the features which the bundle wants; none where its job will say what is wrong with it."""
    from fromage_model.header import read_header

    try:
        return {"encoder": read_header(locate("bundle", bundle))[0].config.vision_encoder}
    except FromageError:
        return {}


def _options(section: str, given: Any, *, tied: dict[str, str], path: Path) -> Any:
    """The options of one job: those given, and those that tie it to the others."""
    module, class_name, ours = SECTIONS[section]
    options = getattr(import_module(module), class_name)
    where = f"{path}: {section}"
    if not isinstance(given, dict):
        raise ConfigError(f"{where}: expected options and values, got {type(given).__name__}")
    for key in ours:
        if key in given:
            raise ConfigError(f"{where}.{key} is set by the pipeline, from `name`, `root` and `bundle`")
    known = [field.name for field in dataclasses.fields(options) if field.name not in ours]
    _check_keys(given, known, where=where)
    hints = get_type_hints(options, include_extras=False)
    values = {key: _checked(value, hints[key], where=f"{where}.{key}") for key, value in given.items()}
    try:
        return options(**from_anywhere(section, values, path), **{key: tied[key] for key in ours})
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


def _checked(value: Any, hint: Any, *, where: str) -> Any:
    try:
        return TypeAdapter(hint).validate_python(value)
    except ValidationError as error:
        reasons = "; ".join(dict.fromkeys(one["msg"] for one in error.errors()))
        raise ConfigError(f"{where} is {value!r}: {reasons}") from error


def _check_keys(given: dict[Any, Any], known: Any, *, where: str) -> None:
    """Raises ConfigError for a key that is not known, with the nearest that is."""
    for key in given:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; known are {', '.join(known)}"
            raise ConfigError(f"{where}: unknown key {key!r}{hint}")


def _text(content: dict[str, Any], key: str, path: Path, *, default: str | None = None) -> str:
    value = content.get(key, default)
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(f"{path}: {key} is {value!r}; expected a text, for example {key}: {default or 'shop'}")
    return value
