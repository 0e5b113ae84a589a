"""The forms of what crosses HTTP, one file for each kind of request. What they mean is in `interpret`."""
