"""Whether a config for `serve deploy` says what it means: Ray takes keys that it does not know for nothing, we don't.

python -m services.check services/serve.yaml
"""

import difflib
import logging
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from ray.serve.schema import ServeDeploySchema

from fromage_model.logs import dated_lines
from services.settings import DEPLOYMENTS, Settings
from services.swapping.pairs import Wanted

log = logging.getLogger(__name__)
OURS = "services.app:build_app"
RESOURCES = "would take the place of all that we set for its processes; set {name}_num_cpus and {name}_num_gpus in args"


def main(arguments: list[str] | None = None) -> int:
    """-> 0 where the files are good, 2 where one is not; what is wrong is logged, one line each."""
    dated_lines(news_to_stdout=True)
    files = sys.argv[1:] if arguments is None else arguments
    if not files:
        log.error("name the files to check, for example services/serve.yaml")
        return 2
    found = [f"{file}: {problem}" for file in files for problem in problems_of(Path(file))]
    for problem in found:
        log.error("%s", problem)
    if not found:
        log.info("good: %s", ", ".join(files))
    return 2 if found else 0


def problems_of(file: Path) -> list[str]:
    """What is wrong with a config, each with its place; nothing where it is good."""
    try:
        config = yaml.safe_load(file.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        return [f"it can't be read: {' '.join(str(error).split())}"]
    if not isinstance(config, dict):
        return ["expected keys such as applications"]
    found = [*_unknown(ServeDeploySchema, config, "")]
    try:
        ServeDeploySchema.model_validate(config)
    except ValidationError as error:
        found += _told(error, "")
    applications = config.get("applications")
    for number, application in enumerate(applications if isinstance(applications, list) else []):
        if isinstance(application, dict) and application.get("import_path") == OURS:
            found += _of_our_application(application, f"applications.{number}.")
    return found


def _of_our_application(application: dict[str, Any], at: str) -> Iterator[str]:
    try:
        Settings.model_validate(application.get("args") or {})
    except ValidationError as error:
        yield from _told(error, f"{at}args.", known=Settings.model_fields)
    deployments = application.get("deployments")
    for number, deployment in enumerate(deployments if isinstance(deployments, list) else []):
        if not isinstance(deployment, dict):
            continue
        name, here = str(deployment.get("name")), f"{at}deployments.{number}."
        if name not in DEPLOYMENTS:
            yield f"{here}name: there is no deployment {name!r}; there are {', '.join(DEPLOYMENTS)}"
        if "ray_actor_options" in deployment:
            yield f"{here}ray_actor_options: it {RESOURCES.format(name=name)}"
        if name == "chat" and deployment.get("user_config") is not None:
            try:
                Wanted.model_validate(deployment["user_config"])
            except ValidationError as error:
                yield from _told(error, f"{here}user_config.", known=Wanted.model_fields)
        elif deployment.get("user_config") is not None:
            yield f"{here}user_config: only chat has one, {', '.join(Wanted.model_fields)}"


def _unknown(schema: type[BaseModel], values: dict[str, Any], at: str) -> Iterator[str]:
    """Keys that the schema has not, here and in whatever it has schemas for."""
    for key, value in values.items():
        if key not in schema.model_fields:
            yield f"{at}{key}: no such key{_meant(str(key), schema.model_fields)}"
            continue
        inner = next(_schemas_in(schema.model_fields[key].annotation), None)
        several = enumerate(value) if isinstance(value, list) else [("", value)]
        for number, one in several:
            if inner is not None and isinstance(one, dict):
                yield from _unknown(inner, one, f"{at}{key}." + (f"{number}." if number != "" else ""))


def _schemas_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _schemas_in(part)


def _told(error: ValidationError, at: str, *, known: Iterable[str] = ()) -> Iterator[str]:
    for one in error.errors(include_url=False):
        place = ".".join(map(str, one["loc"]))
        unknown = one["type"] == "extra_forbidden"
        yield f"{at}{place}: " + (f"no such key{_meant(place, known)}" if unknown else f"{one['msg']}")


def _meant(key: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(key, list(known), n=1)
    return f"; {near[0]} was meant?" if near else ""


if __name__ == "__main__":
    sys.exit(main())
