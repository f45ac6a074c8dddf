"""Modified backward passes: GIM and LRP."""
