"""One file for each outside thing: the GPU driver, the host, the network, the store, a report format."""
