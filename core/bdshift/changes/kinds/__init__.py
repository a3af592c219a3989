"""Kinds of changes, one file each."""
