"""Settings of trainings that others have published, as data: what stands where a run names one and says no other.

`original`: the command line of `main.py` of FROMAGe's repository (Koh et al., ICML 2023), with its defaults. It trains
on captions alone, each picture in both losses of a step, and nothing is warm-started or standardised. It pads captions
to 24 tokens, which changes no loss: padding is masked in it, and left out here. Its precision is that of the whole
model; here what is trained stays float32 with any `dtype`.

`fashion`: the same with what a shop of 12,957 pairs was trained with. Features of both come from `jobs.embed --encoder
openai/clip-vit-large-patch14`.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal

from fromage_model.errors import ConfigError

_RATE = 3e-4

ORIGINAL: Mapping[str, Any] = MappingProxyType(
    {
        # The model.
        "language_model": "facebook/opt-6.7b",
        "visual_tokens": 1,
        "shared_width": 256,
        "text_layers": (-1,),
        "two_ret_rows": False,
        "picture_weight": 0.0,
        "max_tokens_before_ret": None,
        "system_prompt": "",
        "examples": (),
        "caption_prompt": "",
        "original_captions": True,
        # What it sees.
        "conversations": False,
        "caption_max_tokens": 24,
        "concat_captions_prob": 0.5,
        "standardise": False,
        "warm_start_steps": 0,
        "reply_tokens": 0,
        "feature_noise": 0.0,
        "sibling_weight": 0.0,
        "dropout": 0.0,
        "image_dropout": 0.0,
        "text_dropout": 0.0,
        # How long, and how fast.
        "epochs": 10,
        "steps_per_epoch": 2000,
        "batch_size": 180,
        "caption_batch_size": 180,
        "cap_loss_scale": 1.0,
        "ret_loss_scale": 1.0,
        "ret_learning_rate": _RATE,
        "prefix_learning_rate": _RATE,
        "head_learning_rate": _RATE,
        "schedule": "step",
        "warmup_steps": 100,
        "schedule_step_epochs": 10,
        "schedule_gamma": 0.1,
        "beta2": 0.95,
        "weight_decay": 0.0,
        "max_gradient_norm": 1.0,
        "clip_together": True,
        "dtype": "float32",
    }
)
FASHION: Mapping[str, Any] = MappingProxyType(
    {
        **ORIGINAL,
        "language_model": "facebook/opt-1.3b",
        "caption_max_tokens": 177,
        "epochs": 20,
        "steps_per_epoch": None,
        "batch_size": 6,
        "caption_batch_size": 6,
    }
)
Name = Literal["original", "fashion"]
RECIPES: Mapping[Name, Mapping[str, Any]] = {"original": ORIGINAL, "fashion": FASHION}


def settings_of(recipe: Name | None) -> Mapping[str, Any]:
    """What the recipe sets; nothing for None. Raises ConfigError for a name that is none of RECIPES."""
    if recipe is None:
        return {}
    if recipe not in RECIPES:
        raise ConfigError(f"recipe is {recipe!r}; expected one of {', '.join(RECIPES)}, or none")
    return RECIPES[recipe]


def recipe_in(arguments: Sequence[str]) -> Name | None:
    """The recipe that a command line names, if it is one of ours: the defaults of all other options are its own."""
    for place, word in enumerate(arguments):
        option, sign, value = word.partition("=")
        if option == "--recipe":
            named = value if sign else next(iter(arguments[place + 1 :]), None)
            return next((name for name in RECIPES if name == named), None)
    return None


class RecipeDefaults(type):
    """The class of a settings class whose defaults are those of the `recipe` that it is made with."""

    def __call__(cls, **given: Any) -> Any:
        return super().__call__(**{**settings_of(given.get("recipe")), **given})
