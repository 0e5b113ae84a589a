"""What a captioner may be called. Opens nothing."""

from fromage_model.errors import ConfigError

DEFAULT_CAPTIONER = "default"
LLAMA_ADAPTER = "llama-adapter:"
FORMS = (
    f"the name or folder of a bundle ({DEFAULT_CAPTIONER!r} is the shipped one) or of a saved FROZEN model, the hub id "
    f"or folder of an image-text-to-text model of transformers, or '{LLAMA_ADAPTER}LLAMA_DIR,CHECKPOINT,CLIP'"
)


def adapter_places(name: str) -> list[str]:
    """LLAMA_DIR, CHECKPOINT and CLIP of a LLaMA-Adapter's name. Raises ConfigError where it does not name all three."""
    places = [place.strip() for place in name.removeprefix(LLAMA_ADAPTER).split(",")]
    if len(places) != 3 or not all(places):
        raise ConfigError(f"captioner {name!r}: expected '{LLAMA_ADAPTER}LLAMA_DIR,CHECKPOINT,CLIP'")
    return places
