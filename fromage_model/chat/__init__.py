"""Replies, one or many at once: the engine, how tokens are chosen, and what comes out. Knows no HTTP."""
