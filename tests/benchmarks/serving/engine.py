"""The bare engine in this process, as the LM's replica holds it, and its step's matrix products alone."""

import time
from functools import cache

import torch

from fromage_model import load_bundle
from fromage_model.chat.engine import Engine, Request
from fromage_model.fromage import Fromage
from fromage_model.language.lean.model import LeanLM
from fromage_model.language.lean.products import Quantize
from fromage_model.language.packing import pack
from fromage_model.prompts.messages import Finished
from tests.benchmarks.serving.workload import WISH, Span, decode_rate, prompt_of, sampling, whole_rate

LOOKS = 8
"""Steps of products in a turn."""


@cache
def served_model(quantize: Quantize = "none") -> Fromage:
    """The bundle `openmoji` as the LM's replica packs it, but that nothing ends a reply."""
    model = load_bundle("openmoji", vision=False)
    pack(model.lm, quantize=quantize)
    model.read_opening()
    model.tokens.stop_ids = frozenset()
    return model


class BareEngine:
    def __init__(self, model: Fromage):
        self._model = model

    def measure(self, count: int, *, new_tokens: int) -> dict[str, float]:
        spans = decode(self._model, count=count, new_tokens=new_tokens)
        return {"engine": decode_rate(spans), "engine_with_prompt": whole_rate(spans)}


def decode(model: Fromage, *, count: int, new_tokens: int) -> list[Span]:
    """`count` requests of one wish at once."""
    engine = Engine(model, slots=count)
    prompt = prompt_of(model, WISH)
    asked_s = time.perf_counter()
    for seed in range(count):
        engine.add(prompt, retrieval="never", sampling=sampling(seed=seed, new_tokens=new_tokens))
    first_s: dict[Request, float] = {}
    spans: list[Span] = []
    while engine.busy:
        events = engine.step()
        now_s = time.perf_counter()
        for request, event in events:
            if isinstance(event, Exception):
                raise event
            first_s.setdefault(request, now_s)
            if isinstance(event, Finished):
                spans.append(Span(asked_s, first_s[request], now_s, event.completion_tokens))
    return spans


class ShareOfProducts:
    """What part of a step's time its matrix products would take without all that lies between them."""

    def __init__(self, model: Fromage):
        self._model = model

    def measure(self, count: int, *, new_tokens: int) -> dict[str, float]:
        step_s = count / decode_rate(decode(self._model, count=count, new_tokens=new_tokens))
        return {"share_of_products": self._products_s(count) / step_s}

    @torch.inference_mode()
    def _products_s(self, rows: int) -> float:
        """-> seconds of a step's products over `rows` rows."""
        lean = self._model.lm.packed
        assert isinstance(lean, LeanLM)
        shape = lean.weights.shape
        widths = (shape.width, shape.heads * shape.head_width, shape.width, shape.feed_forward_width)
        inputs = [torch.randn(rows, width) for width in widths]
        layers = lean.weights.products(rows)
        given = [[x.to(product.dtype) for x, product in zip(inputs, layer, strict=True)] for layer in layers]
        last = torch.randn(rows, self._model.lm.head_width, dtype=self._model.lm.dtype)
        start_s = time.perf_counter()
        for _ in range(LOOKS):
            for layer, of_layer in zip(layers, given, strict=True):
                for product, x in zip(layer, of_layer, strict=True):
                    product(x)
            lean.logits(last)
        return (time.perf_counter() - start_s) / LOOKS
