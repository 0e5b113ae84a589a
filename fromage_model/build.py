"""Makes the parts of a Fromage from its config, and wires them. A trained state is laid over them by `bundle.py`."""

import torch

from fromage_model.config import FromageConfig
from fromage_model.errors import ConfigError
from fromage_model.fromage import Fromage
from fromage_model.language.lora import add_lora
from fromage_model.language.lora_settings import LoraSettings
from fromage_model.language.model import LanguageModel, RetToken, load_language_model
from fromage_model.language.precision import Precision, default_device
from fromage_model.language.tokens import Tokens, load_tokens
from fromage_model.model.projections import ImageHead, RetDecision, Standardise, TextHead, VisualPrefix
from fromage_model.model.trained import TrainedParts
from fromage_model.storage.pretrained import locate_language_model


def build_fromage(
    config: FromageConfig,
    *,
    feature_width: int,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    dropout: float = 0.0,
    lora: LoraSettings | None = None,
    seed: int = 0,
) -> Fromage:
    """An untrained Fromage without its encoder: the frozen LM in `dtype`, trained parts in float32.

    `dtype` as for `Precision.choose`. `dropout` is that of the two heads, active in training only. With `lora`, the LM
    gets matrices of its own to train, which start as the identity. Raises MissingArtefact, ConfigError.
    """
    device = device or default_device()
    precision = Precision.choose(dtype, device)
    lm, tokens = load_frozen_lm(config, device=device, dtype=precision.lm)
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        trained = build_trained_parts(config, lm, feature_width=feature_width, dropout=dropout)
        trained.prefix.scale_to(lm.mean_row_norm())
    if lora is not None:
        trained.lora = add_lora(lm, lora, seed=seed)
    trained.ret.initialise(lm, start=start_row(lm, tokens), generator=generator)
    return Fromage(lm=lm, tokens=tokens, trained=trained.to(device, precision.trained), config=config).eval()


def load_frozen_lm(
    config: FromageConfig, *, device: str | torch.device, dtype: torch.dtype
) -> tuple[LanguageModel, Tokens]:
    """The LM and its tokenizer, by the config's name for them. Raises MissingArtefact, ConfigError."""
    folder = locate_language_model(config.language_model).path
    tokens = load_tokens(folder)
    check_captions(config, tokens)
    lm = load_language_model(
        folder, vocabulary=tokens.vocabulary, state_layers=config.state_layers, device=device, dtype=dtype
    )
    return lm, tokens


def check_captions(config: FromageConfig, tokens: Tokens) -> None:
    """Raises ConfigError where captions are to begin with a start token that the tokenizer has not."""
    if config.original_captions and not tokens.start_ids:
        raise ConfigError(
            f"original_captions is True, but the tokenizer of {config.language_model} puts no start token before a "
            f"text, with which these captions begin; False works"
        )


def build_trained_parts(
    config: FromageConfig, lm: LanguageModel, *, feature_width: int, dropout: float = 0.0
) -> TrainedParts:
    """The maps and [RET], sized for the LM and the encoder; weights as PyTorch draws them. Raises ConfigError."""
    two_rows = config.two_ret_rows or not lm.tied
    return TrainedParts(
        ret=RetToken(lm.width, output_width=lm.head_width if two_rows else None),
        standardise=Standardise(feature_width),
        prefix=VisualPrefix(feature_width, lm.width, visual_tokens=config.visual_tokens, dropout=config.image_dropout),
        image_head=ImageHead(
            feature_width, shared_width(config, lm), output_dropout=config.image_dropout, dropout=dropout
        ),
        text_head=build_text_head(config, lm, dropout=dropout),
        decision=build_decision(config, lm),
    )


def build_decision(config: FromageConfig, lm: LanguageModel) -> RetDecision | None:
    """What decides in place of [RET]'s output row where a chat's reply begins, if the config has it."""
    if not config.ret_hidden:
        return None
    places = [config.state_layers.index(layer) for layer in config.ret_layers]
    return RetDecision([lm.layer_widths[place] for place in places], config.ret_hidden, places=places)


def text_widths(config: FromageConfig, lm: LanguageModel) -> list[int]:
    """Widths of the states that the text head reads."""
    return lm.layer_widths[: len(config.text_layers)]


def build_text_head(config: FromageConfig, lm: LanguageModel, *, dropout: float = 0.0) -> TextHead:
    """The maps of the states at [RET], weights as PyTorch draws them."""
    return TextHead(
        text_widths(config, lm),
        config.shared_width,
        hidden=config.text_hidden,
        output_dropout=config.text_dropout,
        dropout=dropout,
    )


def shared_width(config: FromageConfig, lm: LanguageModel) -> int:
    """The config's, or where it has none that of the chosen layers.

    Raises ConfigError where these differ, as the last and an inner one do in OPT-350m: they can't be summed.
    """
    if config.shared_width is not None:
        return config.shared_width
    widths = text_widths(config, lm)
    if len(set(widths)) > 1:
        raise ConfigError(
            f"shared_width is None, but the states of text_layers {config.text_layers} are {widths} wide and can't be "
            f"summed; a shared_width works, for example 256"
        )
    return widths[0]


def start_row(lm: LanguageModel, tokens: Tokens) -> torch.Tensor:
    """(D,) where [RET]'s input row starts: the full stop's, a token at which an LM already sums up what came before."""
    ids = torch.tensor(tokens.encode(".")[-1:], device=lm.device)
    return lm.embed(ids)[0].float().cpu()
