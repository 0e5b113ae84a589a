"""The wardrobe: garments drawn by this code, each with its exact truth, as a feed."""
