"""What a run over a data set says: words and phrases, errors, shortcuts, trust, and two runs compared."""
