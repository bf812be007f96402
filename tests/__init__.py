"""Tests of Modeldeck, and what they stand on: real servers, faults, a browser."""
