"""What is explained: classes, losses and tokens as targets."""
