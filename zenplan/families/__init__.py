"""Model families: each lowers its options to operators."""
