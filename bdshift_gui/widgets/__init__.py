"""The parts that views, dialogs and the window are built from, each used by several or long enough
for a file. What they show they are given; those that act are given the `Context`.
"""
