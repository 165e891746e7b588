"""zenplan: what a training run will take, in time, GPU-hours, dollars and memory, before you pay for it."""

__version__ = "0.1.0"
