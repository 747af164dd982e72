"""Everything right: the solution as it stands.

base: solution
keeps: all
"""
