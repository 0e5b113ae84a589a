"""Opening a bundle for the LM's replica, beside one that decodes meanwhile. Knows nothing of chats."""

import logging
from collections.abc import Callable
from typing import Generic, TypeVar

from fromage_model import load_bundle
from fromage_model.errors import FingerprintMismatch
from fromage_model.fromage import Fromage
from fromage_model.header import read_header
from fromage_model.language.lean.products import Quantize
from fromage_model.language.packing import pack
from fromage_model.storage.artefacts import locate
from services.deployments.capacity import give_back_memory, measure_capacity
from services.swapping.held import Turns
from services.swapping.pairs import Pair

replica_log = logging.getLogger("ray.serve")
"""Goes to the replica's file among what the deployments log, news too."""
T = TypeVar("T")


class BundleOpener(Generic[T]):
    """Makes a pair's bundle into what writes replies by it."""

    def __init__(
        self,
        write: Callable[..., T],
        *,
        device: str | None,
        quantize: Quantize,
        concurrency: int,
        least_rate: float,
        turns: Turns,
    ):
        """`write` takes the model and its `concurrency`, how many replies it decodes at once; 0 is measured, with the
        first bundle. `turns`: in which all writers take their steps.
        """
        self._write = write
        self._device, self._quantize = device, quantize
        self._concurrency, self._least_rate = concurrency, least_rate
        self._turns = turns

    def __call__(self, pair: Pair, *, beside: Fromage | None) -> T:
        """The LM, where it is the one of `beside`, is not loaded again. Raises what `load_bundle` raises."""
        model = load_bundle(pair.bundle, device=self._device, vision=False, beside=beside)
        if model.fingerprint != pair.fingerprint:
            raise FingerprintMismatch(
                f"bundle {pair.bundle!r} has changed since it was chosen; choose it again",
                expected=pair.fingerprint,
                found=model.fingerprint,
            )
        if beside is None or model.lm is not beside.lm:
            pack(model.lm, quantize=self._quantize)
        give_back_memory()
        if not self._concurrency:
            model.read_opening()
            capacity = measure_capacity(model, least_rate=self._least_rate)
            self._concurrency = capacity.replies
            replica_log.info("the LM decodes %d replies at once: %s", capacity.replies, capacity.reason)
        with self._turns:  # what a GPU records as it warms must not be mixed with others' steps
            model.read_opening()
            return self._write(model, concurrency=self._concurrency)


def find_bundle(name: str) -> tuple[str, str]:
    """Its fingerprint and its encoder's. Raises MissingArtefact or BundleError."""
    header, fingerprint = read_header(locate("bundle", name))
    return fingerprint, header.encoder_fingerprint
