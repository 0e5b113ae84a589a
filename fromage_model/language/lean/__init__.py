"""A decoder's forward pass in few calls: weights fused once, slots for rows, the common opening read once for all."""
