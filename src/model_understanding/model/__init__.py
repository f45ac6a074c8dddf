"""A loaded model and what one forward pass of it needs; the model itself is never changed."""
