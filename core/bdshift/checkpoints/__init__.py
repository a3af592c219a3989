"""A hostile file becomes a `Classifier`: backbone φ and linear head (W, b)."""
