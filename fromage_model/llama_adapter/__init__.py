"""LLaMA-Adapter V2, multimodal (Gao et al., 2023): a captioner over a frozen LLaMA and a frozen CLIP."""

from fromage_model.llama_adapter.model import LlamaAdapter

__all__ = ["LlamaAdapter"]
