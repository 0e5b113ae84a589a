"""What the LM is to read: messages, and interleaved text and pictures -> segments. Knows no tensors but features."""
