"""Timing, roofline, memory and energy: imports nothing of ours."""
