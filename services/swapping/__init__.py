"""Which bundle and index are served, and how another pair takes their place while requests go on."""
