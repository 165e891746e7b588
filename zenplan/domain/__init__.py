"""The nouns: frozen, keyword-only, validated. No input or output, no clock, no environment."""
