"""Networks recognized by the shapes and the order of their layers, under any names."""
