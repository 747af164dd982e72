"""Neural audio codecs: sound as a few numbers a frame, and back."""
