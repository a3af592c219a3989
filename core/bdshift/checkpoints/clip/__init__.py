"""Opens CLIP models: an image tower and a text tower, which together classify images once the
classes have names (`bdshift.checkpoints.prompts`).
"""
