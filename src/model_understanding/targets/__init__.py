"""Explanation targets: the classes, losses and tokens whose values are explained."""
