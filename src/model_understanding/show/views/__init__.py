"""What each view of a result shows: units, values, labels, marks and notes, decided once for all outputs.

Figures, terminal and pages render these forms. Order, shares, signs, rounding, color scales and which tokens
are listed are decided here, so that the outputs cannot disagree.
"""
