"""Networks over images: the convolutional ones by name, and models known by a few counts alone."""
