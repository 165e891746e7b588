"""What is computed: operators, the workload made of them, and counts of Keras models."""
