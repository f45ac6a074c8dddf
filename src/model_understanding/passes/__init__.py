"""Forward and backward passes for batches of texts and targets."""
