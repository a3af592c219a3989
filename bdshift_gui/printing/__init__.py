"""Prints the report's page on paper: it is laid out as pages, which are shown or written as PDF."""
