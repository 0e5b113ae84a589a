"""A captioner's name -> a hash over what decides its captions: of two under one name, which it is. Loads none."""

import hashlib
from pathlib import Path

from fromage_model.captioning.captioner import find_captioner
from fromage_model.captioning.names import DEFAULT_CAPTIONER, LLAMA_ADAPTER, adapter_places
from fromage_model.header import HEADER, bundle_fingerprint
from fromage_model.storage.pretrained import cached_sha256, folder_fingerprint, locate_folder

# LLaMA as Meta gave it away: the weights in a folder of their size, beside the tokenizer.
ORIGINAL_LLAMA = ("*.pth", "params.json", "7B/*.pth", "7B/params.json")


def captioner_fingerprint(name: str = DEFAULT_CAPTIONER) -> str:
    """64 hex digits, or 32 for a bundle, whose own they are. Raises as `load_captioner` does for a name."""
    if not name.startswith(LLAMA_ADAPTER):
        folder = find_captioner(name)
        return bundle_fingerprint(str(folder)) if (folder / HEADER).is_file() else folder_fingerprint(folder)
    llama_dir, checkpoint, clip = adapter_places(name)
    llama, adapter = Path(llama_dir).expanduser(), Path(checkpoint).expanduser()
    files = sorted({path for pattern in ORIGINAL_LLAMA for path in llama.glob(pattern)})
    parts = [folder_fingerprint(llama), folder_fingerprint(locate_folder(clip))]
    parts += [cached_sha256(path) for path in [*files, adapter] if path.is_file()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
