"""All that training changes, as one module: a bundle's weights are its state. Knows neither the LM nor the encoder."""

import torch
from torch import nn

from fromage_model.language import RetToken
from fromage_model.projections import ImageHead, Standardise, TextHead, VisualPrefix


class TrainedParts(nn.Module):
    """Everything that training changes, and nothing else: a bundle's weights are this module's."""

    def __init__(
        self,
        *,
        ret: RetToken,
        standardise: Standardise,
        prefix: VisualPrefix,
        image_head: ImageHead,
        text_head: TextHead,
    ):
        super().__init__()
        self.ret = ret
        self.standardise = standardise
        self.prefix = prefix
        self.image_head = image_head
        self.text_head = text_head
        self.log_scale = nn.Parameter(torch.tensor(1 / 0.07).log())
