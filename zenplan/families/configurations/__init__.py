"""Model configurations that people have, as Hugging Face writes them, to workloads."""
