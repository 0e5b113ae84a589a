"""Whether a catalogue's features are there and fit the models that are measured, before any of these is opened."""

from fromage_model.catalogue import Catalogue
from fromage_model.catalogue.features import FeaturesInfo, read_info
from fromage_model.errors import CatalogueError, MissingArtefact
from fromage_model.header import read_header
from fromage_model.storage.artefacts import locate
from jobs.common.embeddings.pictures import check_features
from jobs.evaluate.options import EvaluateArgs


def checked_features(catalogue: Catalogue, args: EvaluateArgs) -> FeaturesInfo:
    """Of the features that `--features` names, or of those named like the catalogue.

    Raises MissingArtefact where there are none, CatalogueError for a folder of something else, FingerprintMismatch
    where they are of another state of the catalogue or of another encoder than one of the models'.
    """
    folder = locate("features", args.features or catalogue.name)
    info = read_info(folder)
    if info is None:
        raise CatalogueError(f"{folder} holds no features: it has no features.json")
    for model in args.compare or (args.bundle,):
        wanted = read_header(locate("bundle", model))[0].encoder_fingerprint
        check_features(info, catalogue=catalogue, bundle=model, encoder_fingerprint=wanted)
    return info


def has_features(catalogue: Catalogue, args: EvaluateArgs) -> bool:
    """Whether there are any, which only features that were named must be. Raises as `checked_features`."""
    try:
        checked_features(catalogue, args)
    except MissingArtefact:
        if args.features is not None:
            raise
        return False
    return True
