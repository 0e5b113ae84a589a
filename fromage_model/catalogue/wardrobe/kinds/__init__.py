"""How each kind of garment is cut and drawn; one module for a family."""
