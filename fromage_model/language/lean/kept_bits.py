"""Which weights of an LM came in few bits, kept on disk as this processor multiplies them.

To find the groups again in the weights takes seconds of a start, and comes out the same for the same files.
"""

import logging
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from fromage_model.errors import BundleError
from fromage_model.language.lean.four_bit import Groups, can_group
from fromage_model.language.lean.fused import Map
from fromage_model.language.lean.products import FourBit
from fromage_model.storage.artefacts import home
from fromage_model.storage.weights import read_tensors

NUMBERS, SCALES = "numbers", "scales"

log = logging.getLogger(__name__)


class KeptBits:
    """Products of weights by a name; `keep` writes them. Without a path, or where it can't be read or written, all are
    found anew.
    """

    def __init__(self, path: Path | None = None):
        self._path = path
        self._kept = self._read()
        self._found: dict[str, Tensor] = {}

    @classmethod
    def of_files(cls, fingerprint: str, dtype: torch.dtype) -> "KeptBits":
        """In FROMAGE_HOME, for the LM whose files have that fingerprint, read in that dtype; "" keeps nothing.

        Numbers lie as this torch and this kind of processor read them.
        """
        if not fingerprint:
            return cls()
        layout = f"{str(dtype).removeprefix('torch.')}-{torch.backends.cpu.get_cpu_capability()}-{torch.__version__}"
        return cls(home() / "packed" / f"{fingerprint[:16]}-{layout}.safetensors")

    def product(
        self, name: str, part: Map, *, came_in: Callable[[Tensor], Groups | None], twice: bool = False
    ) -> FourBit | None:
        """None where the weights did not come in so few bits."""
        numbers, scales = (self._kept.get(f"{name}.{kind}") for kind in (NUMBERS, SCALES))
        if numbers is not None and scales is not None:
            return FourBit(numbers, scales, part.bias, twice=twice)
        groups = came_in(part.weight) if can_group(part.weight) else None
        if groups is None:
            return None
        product = FourBit.of(groups, part.bias, twice=twice)
        self._found |= {f"{name}.{NUMBERS}": product.numbers, f"{name}.{SCALES}": product.scales}
        return product

    def keep(self) -> None:
        """What was found anew beside what was kept, whole or not at all."""
        if self._path is None or not self._found:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self._path.parent) as folder:
                new = Path(folder) / self._path.name
                save_file(self._kept | self._found, new)
                os.replace(new, self._path)
        except OSError as error:
            log.warning("weights of few bits can't be kept in %s (%s): each start finds them anew", self._path, error)

    def _read(self) -> dict[str, Tensor]:
        if self._path is None or not self._path.is_file():
            return {}
        try:
            # Copies: products read what lies at addresses that suit the processor, and a file may be replaced.
            return {key: tensor.clone() for key, tensor in read_tensors(self._path).items()}
        except BundleError as error:
            log.warning("weights of few bits are found anew: %s", error)
            return {}
