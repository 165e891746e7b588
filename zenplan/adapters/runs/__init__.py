"""Tables of measured training runs, as people publish them."""
