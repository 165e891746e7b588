"""What it runs on: accelerators, the devices of this machine, clusters, the catalogue."""
