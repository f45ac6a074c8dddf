"""Figures with matplotlib and seaborn."""
