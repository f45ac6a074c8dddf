"""The HTML page of a report or a comparison."""
