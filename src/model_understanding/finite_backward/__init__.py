"""One backward pass over two runs, whose local derivatives are exact differences."""
