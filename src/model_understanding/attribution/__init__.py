"""Attribution methods, one per file, each with an entry in ``registry.py``."""
