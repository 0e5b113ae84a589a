"""The shared space: what is trained, how prompts are read, and the losses. Knows no chat and no index."""
