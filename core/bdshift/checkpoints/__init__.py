"""From an untrusted file to a `Classifier`: backbone φ and linear head (W, b)."""
