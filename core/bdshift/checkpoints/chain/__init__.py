"""Plain sequential networks (convolutions, then linear layers), rebuilt from the weights.

Most small networks on the web are like this, and no two use the same names. The shapes give the
sequence of layers (`bdshift.checkpoints.chain.row`); everything in between (padding, pooling,
activation, flattening order) is searched (`bdshift.checkpoints.chain.search`) and settled by clean
accuracy.
"""

from bdshift.checkpoints.chain.search import propose

__all__ = ["propose"]
