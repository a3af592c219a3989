"""Victims whose ground truth is known, made here so that the tool can be measured."""
