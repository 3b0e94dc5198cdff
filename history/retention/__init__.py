"""Cleans, and the physical deletion that follows from them."""
