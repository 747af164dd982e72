"""A library as small as can be, in the place of ours."""
