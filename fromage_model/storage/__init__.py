"""Files: artefacts, URIs, weights, and where pretrained models lie. Knows nothing of what they mean."""
