"""What one training of a FROZEN model is: its data, its model, its hyper-parameters. Also its command line."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

from fromage_model.errors import ConfigError
from fromage_model.frozen.config import FrozenConfig
from fromage_model.frozen.visual_maps import VisualMapKind
from fromage_model.storage.pretrained import DEFAULT_VISION_ENCODER
from jobs.common.options import check_options
from jobs.finetune.run_settings import RunArgs

Task = Literal["captions", "vqa"]
MODEL = ("language_model", "vision_encoder", "visual_map", "global_tokens", "local_cells", "grid_layers")
"""Fields of FrozenConfig that a model which is gone on from has already."""


@dataclass(frozen=True)
class FrozenArgs(RunArgs):
    """Train a FROZEN model: the visual map and, as far as wished, the vision encoder, through a frozen LM."""

    model: Literal["frozen"] = "frozen"
    """What is trained; `fromage` has other options."""
    data_root: str | None = None
    """Folder with the original's arrow files, to train on those instead of a catalogue."""
    task: Task = "captions"
    """Texts that are learned: captions, or the answers to questions about pictures (vqa)."""
    out: str = "frozen"
    """Name or folder of the model."""
    start_from: str | None = None
    """Saved FROZEN model to go on from, by name or folder, with its settings. Without it, anew."""
    vision_encoder: str = DEFAULT_VISION_ENCODER
    """efficientnet-lite0, the same with an earlier map that sees colours (efficientnet-lite0-stages), resnet-50 (random
    weights), or a ResNet's hub id or folder."""
    visual_map: VisualMapKind = "global"
    """From feature map to prefix: global, local, duel (global, then local) or grid."""
    global_tokens: int = 2
    """Prefix tokens of the global map."""
    local_cells: tuple[int, int] = (4, 4)
    """Rows and columns to which the local map pools; one prefix token each."""
    grid_layers: int = 1
    """Convolutions of the grid map, each of which halves both sides."""
    trained_stages: int = 0
    """How many of the encoder's last stages are trained with the map: 0 for none, -1 for all, as in the paper."""
    fit_prefix: bool = False
    """Start the visual map at the words of the captions, by least squares, and train what stands for each word; not for
    the grid map."""
    epochs: int = 2
    """Passes over the training rows."""
    batch_size: int = 32
    """Pictures with a text per step and worker."""
    episode_batch_size: int = 0
    """Episodes per step and worker beside those: pictures of two captions under made-up names, then one to be named."""
    episode_shots: tuple[int, ...] = (1, 3)
    """Pictures of each name in an episode, one of these numbers for each step."""
    episode_repeats: int = 2
    """Most times that an episode's pictures come, in the same order."""
    max_tokens: int = 48
    """Longest text in tokens, its end included; what is longer is cut."""
    map_learning_rate: float = 1e-4
    """Peak for the visual map, after the warm-up: each of its outputs sums over all features."""
    word_learning_rate: float = 0.02
    """With fit_prefix, the peak for what stands for each word, in root mean squares of the LM's rows; what all pictures
    share learns four times as fast."""
    encoder_learning_rate: float = 3e-4
    """The same for the encoder's trained stages."""
    warmup_steps: int = 10
    """Steps until the peak; the rates then fall to zero along a cosine."""
    weight_decay: float = 0.0
    """AdamW's (0.9, 0.95), on matrices and convolutions only."""
    check_pictures: bool = True
    """Decode every picture once before anything is trained; those that can't be go to failures.parquet."""
    max_failed: float = 0.01
    """Share of rows without a text or a picture above which nothing is trained."""
    kept_mib: int = 1024
    """Memory of each worker for what the encoder's frozen stages made of pictures, so that they run once."""

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "local_cells", tuple(self.local_cells))
        object.__setattr__(self, "episode_shots", tuple(self.episode_shots))
        check_options(
            self,
            positive=("epochs", "episode_repeats", "max_tokens"),
            not_negative=("episode_batch_size", "warmup_steps", "kept_mib", "weight_decay"),
            shares=("max_failed",),
        )
        if self.task not in get_args(Task):
            raise ConfigError(f"task is {self.task!r}; expected one of {', '.join(get_args(Task))}")
        if not self.episode_shots or min(self.episode_shots) < 1:
            raise ConfigError(f"episode_shots is {self.episode_shots}; expected numbers from 1, for example (1, 3)")
        if self.trained_stages < -1:
            raise ConfigError(f"trained_stages is {self.trained_stages}; expected 0, a number of stages, or -1 for all")
        if self.episode_batch_size and self.task != "captions":
            raise ConfigError("episodes are made of captions; leave out episode_batch_size, or set task captions")
        if self.fit_prefix and self.visual_map == "grid":
            raise ConfigError(
                "fit_prefix has no linear map to fit where visual_map is grid; global, local or duel have"
            )
        if self.fit_prefix and self.start_from is not None:
            raise ConfigError("fit_prefix would undo what start_from has learned; leave one of them out")
        self.model_config()

    def model_config(self) -> FrozenConfig:
        """The config of a new model, its stages still to be counted. Raises ConfigError."""
        fields = {name: getattr(self, name) for name in MODEL}
        return FrozenConfig(**fields, freeze_encoder=self.trained_stages == 0)

    def decisive(self) -> dict[str, Any]:
        """The settings that decide what is learned, without those of place, names, patience, and what is not used."""
        other = {"kept_mib", "max_failed", "check_pictures"}
        other |= {"catalogue"} if self.data_root is not None else {"data_root"}
        other |= {"map_learning_rate"} if self.fit_prefix else {"word_learning_rate"}
        if self.start_from is None:
            other |= {"start_from"}
        return self.learned(without=other)
