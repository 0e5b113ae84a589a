"""Anything with `captions(images, prompt) -> list[str]`, by name. The way in is `captioner.load_captioner`."""
