"""The decision: a pure function from what is to what should be done. No input, no output, no clock."""
