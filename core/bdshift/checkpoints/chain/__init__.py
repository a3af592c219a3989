"""Plain sequential networks, convolutions and linear layers in a row, rebuilt from the weights.

Most small networks on the web are these, and no two have the same names. The shapes give the row
(`bdshift.checkpoints.chain.row`); what lies between, padding, pooling, activation, the order of
flattening, is searched (`bdshift.checkpoints.chain.search`) and settled by clean accuracy.
"""

from bdshift.checkpoints.chain.search import propose

__all__ = ["propose"]
