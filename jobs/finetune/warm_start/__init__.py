"""Heads and [RET] alone, trained on states of the frozen LM that are read once, before the joint steps."""
