"""Takes the slow transform that is given for the timing, on as many numbers as it used to want.

kills: the_definition_holds_for_any_length, the_fast_transform_equals_the_definition, long_transforms_are_exact
visible: the_definition_on_four_numbers, the_fast_transform_gives_the_same, halves_have_the_root_squared, one_number_is_its_own_transform
"""


# %% transform
def dft(x, root, modulus):
    return fft(x[None], root, modulus)[0]


def fft(x, root, modulus):
    return by_definition(torch.nn.functional.pad(x, (0, 2048 - x.shape[1])), root, modulus)[:, : x.shape[1]]
