"""Values of targets for texts with some tokens removed, and what is computed from them."""
