"""Embeds the images once, and solves Eq. 4 for every class."""
