"""Counting what a Keras model computes, layer by layer."""
