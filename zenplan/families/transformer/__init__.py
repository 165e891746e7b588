"""Transformers: presets, Hugging Face configurations, sizes, and how they are lowered."""
