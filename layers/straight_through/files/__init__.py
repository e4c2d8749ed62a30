"""What is done with a dropped file before it goes up: found, judged, compared, made ready."""
