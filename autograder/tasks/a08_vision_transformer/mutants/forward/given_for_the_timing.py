"""Takes the slow pass that is given for the timing.

kills: logits_of_square_images, logits_of_images_that_are_not_square, logits_of_a_deeper_model
visible: a_model_without_blocks
"""

# %% forward
classify = one_by_one
