"""What one fine-tuning run is: its data, its model, and its hyper-parameters. Also its command line."""

from dataclasses import dataclass
from typing import Any, Literal

from fromage_model.config import DEFAULT_SYSTEM_PROMPT, exchanges
from fromage_model.errors import ConfigError
from fromage_model.language.lora_settings import LoraSettings
from jobs.common.options import check_options
from jobs.finetune.examples.wording import EXAMPLES
from jobs.finetune.recipes import Name, RecipeDefaults
from jobs.finetune.run_settings import RunArgs


@dataclass(frozen=True)
class FinetuneArgs(RunArgs, metaclass=RecipeDefaults):
    """Train the maps and [RET] on a catalogue's training split."""

    recipe: Name | None = None
    """Settings that stand where you give no others. `original`, FROMAGe's own: OPT-6.7b, one visual token, captions
    alone of 24 tokens, in half of the steps two in a sequence, batches of 180, 10 epochs of 2,000 steps, rate 3e-4 in
    steps after 100 of warm-up, no decay, float32. `fashion`: OPT-1.3b, captions of 177 tokens, batches of 6, 20 epochs.
    Both are for features of openai/clip-vit-large-patch14; --recipe NAME --help shows all that it sets."""
    model: Literal["fromage"] = "fromage"
    """What is trained; `frozen` has other options, which `--model frozen --help` tells."""
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
    start_from: str | None = None
    """Bundle to go on from, by name, folder or URI: its trained parts, statistics and config. Without it, anew."""
    refit: bool = False
    """With start_from: fit the statistics and warm-start the heads on this catalogue anew, as without it."""
    decision_alone: bool = False
    """With start_from and epochs 0: fit anew when to show products ([RET]'s output row and the threshold), and nothing
    else, so that all other weights stay as they are."""
    others_shown: float | None = 0.05
    """Share of the messages that call for no product at which some may come: the bundle's threshold is fitted to it.
    None fits none, as in the original; nor is one fitted where max_tokens_before_ret is not 0."""
    others_shown_pictured: float | None = 0.8
    """The same under a picture, where products may stand beside an answer, and a wish left without is worse. None lets
    [RET] be chosen there like any token."""
    visual_tokens: int = 2
    """LM input embeddings that a picture becomes."""
    shared_width: int | None = 256
    """Width of the shared space; None for that of the states at [RET], which are then not projected."""
    text_layers: tuple[int, ...] | None = None
    """Layers whose state at [RET] is projected; -1 is the last. Without it, that and the one at four fifths."""
    text_hidden: int = 0
    """Units of a hidden layer beside these layers' maps, which makes more of many texts; 0, as in the paper, for none.
    With refit it may be another than the bundle's."""
    ret_hidden: int = 0
    """Units of a hidden layer that says, where a reply begins, whether products are wanted, fitted with others_shown;
    0, as in the paper, leaves that to [RET]'s output row. With refit or decision_alone another than the bundle's."""
    ret_layers: tuple[int, ...] | None = None
    """Layers whose states it reads. Without it, those at a half and seven tenths of the LM's depth, and the last."""
    picture_weight: float = 1.0
    """What a picture's own retrieval embedding counts beside [RET]'s where a prompt shows it; 0 as in the paper."""
    max_tokens_before_ret: int | None = 0
    """Most tokens of a chat's reply before [RET]: 0 is what this job teaches; None, as in the original, is no limit."""
    after_ret: str | None = None
    """How a chat's reply goes on that begins with [RET]; the LM finishes the sentence. Empty leaves all to the LM;
    without it, "Here are some", or what the bundle says that is started from."""
    two_ret_rows: bool = True
    """Give [RET] an output row of its own even where the LM ties its embeddings."""
    system_prompt: str = DEFAULT_SYSTEM_PROMPT
    """First turn of every chat that brings none of its own; empty for none."""
    examples: tuple[tuple[str, str], ...] = EXAMPLES
    """Messages and replies that stand before every chat, in turn; those of a shop, unless others are given."""
    caption_prompt: str = "A picture of"
    """Text between a picture and its caption; empty for none."""
    caption_max_tokens: int = 24
    """Tokens that a caption is cut to, and where conversations are none, [RET] and the start token among them."""
    conversations: bool = True
    """Put items into wishes and conversations as well; without, captions alone are read, as they stand."""
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
    """Steps in which the visual prefix alone is trained before all else, on captions and questions about pictures."""
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
    steps_per_epoch: int | None = None
    """Steps of an epoch. Without it, as many as show each item once."""
    batch_size: int = 64
    """Items per step and worker, each in words once."""
    accumulate: int = 1
    """Parts into which a worker's step is cut, one after the other, where memory has no room for all of it; the LM then
    reads each text twice. The contrastive loss is still of the whole batch."""
    caption_batch_size: int = 16
    """Of these, how many are also captioned."""
    talk_batch_size: int = 8
    """Conversations per step whose replies are trained on, half of them small talk."""
    warm_start_steps: int = 600
    """Steps in which the heads alone are trained, on states that are read once; 0 for no warm start."""
    phrasings: int = 4
    """Texts for each item that the warm start reads."""
    further_phrasings: int = 1
    """The same for each item of a further catalogue."""
    keep_states: bool = True
    """Keep what the LM makes of the warm start's texts in FROMAGE_HOME/states (some 8 KB each) for the next run."""
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
    schedule: Literal["cosine", "step"] = "cosine"
    """How rates fall after it: to zero along a cosine, or by a factor every few epochs."""
    schedule_step_epochs: int = 10
    """With the schedule step: epochs between two falls."""
    schedule_gamma: float = 0.1
    """With the schedule step: the factor."""
    beta2: float = 0.95
    """AdamW's memory of squared gradients; that of gradients is 0.9."""
    max_gradient_norm: float = 1.0
    """Length that gradients are cut to; 0 leaves them as they are."""
    clip_together: bool = False
    """Cut all gradients together, as the original does; without, those of each part by themselves."""
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
    standardise: bool = True
    """Shift and scale features by the statistics of the training split; without, they stay as the encoder's."""
    feature_noise: float = 0.3
    """Gaussian noise on features, in standard deviations of the training split."""
    sibling_weight: float = 0.25
    """Share of a positive pair that a picture of the same group counts as."""
    reply_tokens: int = 24
    """Longest own reply of the LM to small talk, in tokens; 0 writes none, and only where a reply begins is learned."""
    tune: int = 0
    """Trials of a sweep over learning rates, visual tokens, shared width and text layers, of which the best by recall
    on the validation items is kept; 0 for one run with the settings as they are."""
    checkpoint_activations: bool = False
    """Keep of each layer of the LM its input alone, and compute the rest again for gradients: slower, less memory."""

    def __post_init__(self):
        super().__post_init__()
        if self.text_layers is not None:
            object.__setattr__(self, "text_layers", tuple(self.text_layers))
        if self.ret_layers is not None:
            object.__setattr__(self, "ret_layers", tuple(self.ret_layers))
        object.__setattr__(self, "examples", exchanges(self.examples))
        object.__setattr__(self, "further_catalogues", tuple(self.further_catalogues))
        object.__setattr__(self, "further_features", tuple(self.further_features))
        if self.further_features and len(self.further_features) != len(self.further_catalogues):
            counts = f"{len(self.further_features)} for {len(self.further_catalogues)} further catalogues"
            raise ConfigError(f"further_features are {counts}; expected one for each, or none")
        object.__setattr__(self, "lora_targets", tuple(self.lora_targets))
        check_options(
            self,
            positive=(
                "talk_batch_size",
                "phrasings",
                "further_per_group",
                "caption_max_tokens",
                "steps_per_epoch",
                "schedule_step_epochs",
            ),
            not_negative=(
                "reply_tokens",
                "ret_hidden",
                "prefix_steps",
                "tune",
                "warm_start_steps",
                "max_gradient_norm",
                "cap_loss_scale",
                "ret_loss_scale",
            ),
            shares=("concat_captions_prob",),
        )
        if self.tune and not (self.validation and self.epochs):
            raise ConfigError(
                f"tune is {self.tune}, but validation is {self.validation} and epochs {self.epochs}: trials are "
                "compared after each epoch by what they recall of items held out; give --validation, for example 0.1"
            )
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout is {self.dropout}; expected 0 to below 1, for example 0.4")
        if not 0 <= self.beta2 < 1:
            raise ConfigError(f"beta2 is {self.beta2}; expected 0 to below 1, for example 0.95")
        if self.lora_rank < 0:
            raise ConfigError(f"lora_rank is {self.lora_rank}; expected 0 for none, or more, for example 8")
        if self.lora() is None and self.lora_targets:
            raise ConfigError("lora_targets are named, but lora_rank is 0; give a rank, for example 8")
        if self.refit and self.start_from is None:
            raise ConfigError("refit is for a run that starts from a bundle; give start_from, or leave it out")
        for name in ("others_shown", "others_shown_pictured"):
            share = getattr(self, name)
            if share is not None and not 0 <= share < 1:
                raise ConfigError(f"{name} is {share}; expected 0 to below 1, for example 0.05, or None")
        if self.ret_hidden and self.others_shown is None and self.start_from is None:
            raise ConfigError(
                f"ret_hidden is {self.ret_hidden}, units that are fitted with others_shown, and that is None: unfitted "
                "they would show products always; give a share, for example 0.05, or leave ret_hidden at 0"
            )
        if self.ret_hidden and self.max_tokens_before_ret != 0:
            raise ConfigError(
                f"ret_hidden is {self.ret_hidden}, units that say where a reply begins whether products come: it needs "
                f"max_tokens_before_ret 0, and it is {self.max_tokens_before_ret}"
            )
        if self.decision_alone and (self.start_from is None or self.refit or self.epochs):
            raise ConfigError("decision_alone changes a bundle and trains nothing else; give start_from and epochs 0")

    def lora(self) -> LoraSettings | None:
        """None where the LM stays as it is."""
        if self.lora_rank == 0:
            return None
        return LoraSettings(
            rank=self.lora_rank, alpha=self.lora_alpha, dropout=self.lora_dropout, targets=self.lora_targets
        )

    def decisive(self) -> dict[str, Any]:
        """The settings that decide what is learned, without those of place, names, patience, and what is not used."""
        other = {"recipe", "model", "keep_states"} | (set() if self.tune else {"tune"})
        other |= {"accumulate"} if self.accumulate == 1 else set()
        other |= set() if self.ret_hidden else {"ret_hidden", "ret_layers"}
        if self.lora_rank == 0:
            other |= {"lora_rank", "lora_alpha", "lora_dropout", "lora_targets", "lora_learning_rate"}
        if self.start_from is None:
            other |= {"start_from", "refit", "decision_alone"}
        return self.learned(without=other)
