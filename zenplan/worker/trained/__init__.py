"""What is done with the model of a finished run, in a worker."""
