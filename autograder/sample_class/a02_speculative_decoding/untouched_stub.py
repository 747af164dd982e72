"""Submitted as it was released.

base: stub
keeps: none
"""
