"""A frozen LM made ready to decode: lean weights where its shape allows, transformers' modules packed where not."""

from fromage_model.errors import ConfigError
from fromage_model.language.lean.fused import why_not
from fromage_model.language.lean.kept_bits import KeptBits
from fromage_model.language.lean.model import LeanLM
from fromage_model.language.lean.products import Quantize
from fromage_model.language.lean.weights import LeanWeights
from fromage_model.language.model import LanguageModel


def pack(lm: LanguageModel, *, quantize: Quantize = "none") -> None:
    """For the engine alone: afterwards the LM can't be trained, saved, moved, or called other than by its decoder.

    Memory does not grow while it happens: transformers' modules lose their matrices one after the other. `quantize`
    makes the layers' weights smaller and what the LM says a little different. Raises ConfigError where that is asked of
    an LM of another shape than LLaMA's and OPT's, or elsewhere than on a CPU.
    """
    if lm.packed is not None:
        return
    if quantize != "none" and lm.device.type != "cpu":
        raise ConfigError(f"quantize is {quantize!r}, which is for CPUs, and the LM is on {lm.device}; expected none")
    reason = why_not(lm)
    if reason is None:
        kept = KeptBits.of_files("" if lm.has_merged_lora else lm.fingerprint, lm.dtype)
        lm.packed = LeanLM(LeanWeights(lm, quantize=quantize, kept=kept, release=True))
        return
    if quantize != "none":
        raise ConfigError(f"quantize is {quantize!r}, which this LM can't be: {reason}; expected none")
    lm.pack_modules()
