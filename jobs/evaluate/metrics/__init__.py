"""What an answer is worth, by the field's own measures: pure functions, one measure a module, no model and no file."""
