"""Recovering a trigger: which small change of the images sends them to a class."""
