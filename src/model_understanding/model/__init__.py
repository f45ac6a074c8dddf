"""Run one model without leaving a trace on it."""
