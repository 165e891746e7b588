"""What is asked, and how it is run: request, plan, layout, operations."""
