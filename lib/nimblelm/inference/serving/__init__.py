"""Many requests at once: paged cache, ragged batches, schedulers and the loop that serves them."""
