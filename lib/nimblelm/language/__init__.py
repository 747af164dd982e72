"""Language models, a file each: configuration, block, model, and the loader of its twin's weights."""
