"""Embed once, solve Eq. 4 for every class, judge the norms."""
