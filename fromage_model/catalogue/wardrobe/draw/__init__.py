"""Drawing of cloth as SVG: outlines, colours, patterns, textures, light. Knows no garments."""
