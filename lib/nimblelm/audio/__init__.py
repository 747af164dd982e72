"""What hears and speaks: features of sound, and the models that read them."""
