"""What every Ray Data stage is made of: rows that may fail, pictures, actors, and what workers are told."""
