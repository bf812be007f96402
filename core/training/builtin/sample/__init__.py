"""The sample: three small experiments trained for real, to look around in.

`plan` says what the sample holds and imports nothing heavy; `train` makes it, in a child process.
"""
