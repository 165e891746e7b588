"""A corpus: what a model learns from, made of files of data: cleaned, without duplicates, parted, in arrays on the disk."""
