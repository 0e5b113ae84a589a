"""What the Makefile runs: checks before an install, preparing artefacts, and the demo under one supervisor."""
