"""Bad input, bad calls, faults, limits, concurrency and neighbours: a clean refusal or a right answer."""
