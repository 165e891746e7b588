"""The network, for whoever fetches prices."""
