"""What figures, terminal and page share: colors, words, text runs."""
