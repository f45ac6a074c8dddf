"""Target values of texts with tokens removed."""
