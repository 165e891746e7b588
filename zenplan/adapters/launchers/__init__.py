"""Files of clusters and clouds that start a training run, each for one system, of one description."""
