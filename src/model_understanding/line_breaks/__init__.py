"""Which line breaks of a text end something, and which only wrap a line that became too long."""
