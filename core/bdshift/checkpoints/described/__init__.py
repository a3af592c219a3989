"""Files that describe their network exactly, layer by layer, besides its weights: Keras models. The
description is data: each layer becomes one of ours, from a list, and nothing else is read.
"""
