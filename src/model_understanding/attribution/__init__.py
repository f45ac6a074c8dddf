"""Attribution methods, one a file, each listed by one line in ``registry.py``."""
