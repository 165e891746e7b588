"""The commands of zenplan: a room each, with its flags, its use case and its report."""
