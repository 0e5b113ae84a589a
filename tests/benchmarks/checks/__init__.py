"""Each benchmark in a small form, so that it still runs when somebody needs it; its figures mean nothing here."""
