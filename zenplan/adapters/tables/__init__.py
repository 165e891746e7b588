"""Tables that zenplan ships."""
