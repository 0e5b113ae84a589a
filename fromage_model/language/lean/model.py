"""A lean LM: the weights, and decoders over them. What `language.model.LanguageModel` keeps once it is packed.

Shapes: N positions, O positions of an opening, D LM width, W width of the last states, V vocabulary.
"""

import torch
from torch import Tensor

from fromage_model.language.lean.decoder import LeanDecoder
from fromage_model.language.lean.reading import Opening
from fromage_model.language.lean.weights import LeanWeights


class LeanLM:
    """One LM's weights serve any number of decoders."""

    def __init__(self, weights: LeanWeights):
        self.weights = weights

    def logits(self, last: Tensor) -> Tensor:
        """(N, W) -> (N, V) in the dtype of the product."""
        return self.weights.logits(last)

    def decoder(self, slots: int) -> LeanDecoder:
        return LeanDecoder(self.weights, slots=slots)

    @torch.inference_mode()
    def read_opening(self, embeddings: Tensor) -> Opening:
        """(O, D) -> what rows may begin with, and share."""
        decoder = LeanDecoder(self.weights, slots=1, ladder=False)
        row = decoder.join()
        decoder.prefill(row, embeddings)
        states = decoder.export(row, 0, len(embeddings))
        return Opening(states[:, :, 0].unbind(), states[:, :, 1].unbind())
