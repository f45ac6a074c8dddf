"""The answer map: which sources an answer comes from, and which statements rest on nothing in them."""
