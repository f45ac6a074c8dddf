"""Results as colored text in the terminal."""
