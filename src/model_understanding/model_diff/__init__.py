"""Two models that read one text: which modules' weights make the difference, and at which token."""
