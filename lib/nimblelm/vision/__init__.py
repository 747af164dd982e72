"""Image models and what prepares images."""
