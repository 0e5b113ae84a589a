"""The `.arrow` files that the original FROZEN project trains on, made of ours. The way in is `make.py`."""
