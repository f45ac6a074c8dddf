"""Figures, drawn with matplotlib and seaborn."""
