"""What it costs: instances, offers, prices, terms."""
