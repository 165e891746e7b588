"""The use cases, one file each: they put adapters, plugins and physics together, and print nothing."""
