"""The routes, one file for each group: what is read from a request, asked of the engine, and answered."""
