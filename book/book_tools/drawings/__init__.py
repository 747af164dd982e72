"""The longer drawings of the chapters, a module for each: functions that give sheets for `draw.show`."""
