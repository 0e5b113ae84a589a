"""What one fine-tuning run is: its data, its model, and its hyper-parameters. Also its command line."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from fromage_model.config import DEFAULT_SYSTEM_PROMPT, exchanges
from fromage_model.errors import ConfigError
from fromage_model.language.lora import LoraSettings
from fromage_model.language.precision import NAMES as DTYPES
from fromage_model.storage.pretrained import DEFAULT_LANGUAGE_MODEL
from jobs.finetune.examples.wording import EXAMPLES


@dataclass(frozen=True)
class FinetuneArgs:
    """Train the maps and [RET] on a catalogue's training split."""

    catalogue: str = "openmoji"
    """Catalogue to train on: a name, a folder, or a URI."""
    features: str | None = None
    """Features of its pictures. Without it, those under the catalogue's name."""
    further_catalogues: tuple[str, ...] = ()
    """Catalogues whose training splits lend pictures and captions, beside the one that is trained on."""
    further_features: tuple[str, ...] = ()
    """Their features, in the same order. Without it, those under their names."""
    further_per_group: int = 4
    """Most items of one group that a further catalogue lends: some draw the same thing a thousand times."""
    out: str = "tuned"
    """Name or folder of the bundle."""
    run: str | None = None
    """Name of the run, under which it is resumed. Without it, made of the settings."""
    start_from: str | None = None
    """Bundle to go on from, by name, folder or URI: its trained parts, statistics and config. Without it, anew."""
    refit: bool = False
    """With start_from: fit the statistics and warm-start the heads on this catalogue anew, as without it."""
    language_model: str = DEFAULT_LANGUAGE_MODEL
    """Frozen LM: the embedded default, a hub id, or a local folder."""
    visual_tokens: int = 2
    """LM input embeddings that a picture becomes."""
    shared_width: int | None = 256
    """Width of the shared space; None for that of the states at [RET], which are then not projected."""
    text_layers: tuple[int, ...] | None = None
    """Layers whose state at [RET] is projected; -1 is the last. Without it, that and the one at four fifths."""
    picture_weight: float = 1.0
    """What a picture's own retrieval embedding counts beside [RET]'s where a prompt shows it; 0 as in the paper."""
    max_tokens_before_ret: int | None = 0
    """Most tokens of a chat's reply before [RET]: 0 is what this job teaches; None, as in the original, is no limit."""
    two_ret_rows: bool = True
    """Give [RET] an output row of its own even where the LM ties its embeddings."""
    system_prompt: str = DEFAULT_SYSTEM_PROMPT
    """First turn of every chat that brings none of its own; empty for none."""
    examples: tuple[tuple[str, str], ...] = EXAMPLES
    """Messages and replies that stand before every chat, in turn; those of a shop, unless others are given."""
    caption_prompt: str = "A picture of"
    """Text between a picture and its caption; empty for none."""
    original_captions: bool = False
    """Lay captions out as the original does: the start token is learned with them, and no end."""
    glosses: str | None = None
    """Folder of WordNet's files, whose definitions become captions and wishes; none without it."""
    dictionary_pairs: int = 3000
    """Words of these files and their definitions that the warm start trains the text head on."""
    dictionary_weight: float = 1.0
    """What the loss between such words and definitions counts."""
    name_weight: float = 1.0
    """What the warm start's loss between an item's wordings and its plain name counts; 0 reads no names."""
    fit_prefix: bool = False
    """Start the visual prefix at the words that name a picture, by least squares."""
    prefix_steps: int = 0
    """Steps of the warm start in which the visual prefix alone is trained, on captions of single pictures."""
    lora_rank: int = 0
    """Rank of LoRA on the LM, trained together with the maps; 0 for none."""
    lora_alpha: int = 16
    """LoRA's output is scaled by alpha / rank."""
    lora_dropout: float = 0.05
    """On LoRA's inputs."""
    lora_targets: tuple[str, ...] = ()
    """Linear layers that get LoRA, by the last part of their names. Without them, the maps of queries and values."""
    epochs: int = 2
    """Passes over the training items; 0 for the warm start alone."""
    batch_size: int = 64
    """Items per step and worker, each in words once."""
    caption_batch_size: int = 16
    """Of these, how many are also captioned."""
    talk_batch_size: int = 8
    """Conversations per step whose replies are trained on, half of them small talk."""
    warm_start_steps: int = 600
    """Steps in which the heads alone are trained, on states that are read once."""
    phrasings: int = 4
    """Texts for each item that the warm start reads."""
    further_phrasings: int = 1
    """The same for each item of a further catalogue."""
    ret_learning_rate: float = 1e-4
    """Peak for [RET]'s input row, after the warm-up; it then falls to zero along a cosine."""
    prefix_learning_rate: float = 2e-4
    """The same for the map from features to the visual prefix: each of its outputs sums over all features."""
    head_learning_rate: float = 5e-5
    """The same for what the warm start has trained already: the heads, and an output row of [RET]'s own."""
    lora_learning_rate: float = 1e-4
    """The same for LoRA's matrices."""
    warmup_steps: int = 10
    """Steps until the peak."""
    weight_decay: float = 0.1
    """AdamW's, on the maps' matrices only."""
    dropout: float = 0.4
    """On features and states before the heads."""
    image_dropout: float = 0.0
    """On visual prefixes and image embeddings after the maps, as in the original."""
    text_dropout: float = 0.0
    """On projected states after the maps, as in the original."""
    cap_loss_scale: float = 1.0
    """What the captions' loss counts."""
    ret_loss_scale: float = 1.0
    """What InfoNCE and the next-token loss over captions and [RET] count."""
    concat_captions_prob: float = 0.0
    """Probability of a step whose captions stand two in a sequence."""
    feature_noise: float = 0.3
    """Gaussian noise on features, in standard deviations of the training split."""
    sibling_weight: float = 0.25
    """Share of a positive pair that a picture of the same group counts as."""
    reply_tokens: int = 24
    """Longest own reply of the LM to small talk, in tokens; 0 writes none, and only where a reply begins is learned."""
    validation: float = 0.0
    """Share of the training split's groups, by hash, that is left out and measured after each epoch."""
    seed: int = 0
    """Of initialisation, order and noise."""
    workers: int = 1
    """Ray Train workers; each holds a frozen LM."""
    threads: int = 2
    """Torch threads of each worker on a CPU."""
    cpus_per_worker: float = 1.0
    """CPUs that each worker reserves."""
    use_gpu: bool = False
    """Give each worker a GPU; gradients then go over NCCL."""
    dtype: str = "auto"
    """Of the frozen LM: auto, float32, bfloat16, or float16 with a scaled loss. What is trained is float32."""
    max_failures: int = 2
    """Times that a lost worker is replaced before the job fails."""
    force: bool = False
    """Train again where the run is complete."""

    def __post_init__(self):
        if self.text_layers is not None:
            object.__setattr__(self, "text_layers", tuple(self.text_layers))
        object.__setattr__(self, "examples", exchanges(self.examples))
        object.__setattr__(self, "further_catalogues", tuple(self.further_catalogues))
        object.__setattr__(self, "further_features", tuple(self.further_features))
        if self.further_features and len(self.further_features) != len(self.further_catalogues):
            counts = f"{len(self.further_features)} for {len(self.further_catalogues)} further catalogues"
            raise ConfigError(f"further_features are {counts}; expected one for each, or none")
        object.__setattr__(self, "lora_targets", tuple(self.lora_targets))
        positive = (
            "batch_size",
            "talk_batch_size",
            "workers",
            "threads",
            "phrasings",
            "further_per_group",
        )
        for name in positive:
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected 1 or more")
        for name in ("epochs", "reply_tokens", "prefix_steps"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected 0 or more")
        if not 0 <= self.validation < 1:
            raise ConfigError(f"validation is {self.validation}; expected a share from 0 to below 1, for example 0.1")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout is {self.dropout}; expected 0 to below 1, for example 0.4")
        if not 0 <= self.concat_captions_prob <= 1:
            raise ConfigError(f"concat_captions_prob is {self.concat_captions_prob}; expected 0 to 1, for example 0.5")
        for name in ("cap_loss_scale", "ret_loss_scale"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected 0 or more, for example 1.0")
        if self.dtype not in DTYPES:
            raise ConfigError(f"dtype is {self.dtype!r}; expected one of {', '.join(DTYPES)}")

        if self.lora_rank < 0:
            raise ConfigError(f"lora_rank is {self.lora_rank}; expected 0 for none, or more, for example 8")
        if self.lora() is None and self.lora_targets:
            raise ConfigError("lora_targets are named, but lora_rank is 0; give a rank, for example 8")
        if self.refit and self.start_from is None:
            raise ConfigError("refit is for a run that starts from a bundle; give start_from, or leave it out")

    def lora(self) -> LoraSettings | None:
        """None where the LM stays as it is."""
        if self.lora_rank == 0:
            return None
        return LoraSettings(
            rank=self.lora_rank, alpha=self.lora_alpha, dropout=self.lora_dropout, targets=self.lora_targets
        )

    def decisive(self) -> dict[str, Any]:
        """The settings that decide what is learned, without those of place, names, patience, and what is not used."""
        other = {"out", "run", "force", "threads", "cpus_per_worker", "use_gpu", "max_failures"}
        if self.lora_rank == 0:
            other |= {"lora_rank", "lora_alpha", "lora_dropout", "lora_targets", "lora_learning_rate"}
        if self.start_from is None:
            other |= {"start_from", "refit"}
        return {name: value for name, value in dataclasses.asdict(self).items() if name not in other}
