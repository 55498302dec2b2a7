"""What every part stands on: files, random streams, errors, progress, numbers in words. Imports nothing of bnn."""
