"""Turns a folder, an archive or arrays into batches of pixels, as a network expects them."""
