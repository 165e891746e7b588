"""What serves a language model: the model as it generates text, where it runs, what is asked of it, what that costs."""
