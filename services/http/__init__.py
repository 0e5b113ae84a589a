"""What crosses HTTP: routes, bodies, errors, the page. Knows nothing of Ray or of models."""
