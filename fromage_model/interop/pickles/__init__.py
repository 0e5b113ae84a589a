"""Pickles from outside, and what torch.save writes around them, read without running their code. Knows no model."""
