"""The ledger: where in a model, and at which token, the difference between two texts arises."""
