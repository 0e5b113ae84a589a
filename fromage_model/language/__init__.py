"""The frozen LM: its layout, number formats and cache, LoRA beside it, and its tokens. Knows no pictures."""
