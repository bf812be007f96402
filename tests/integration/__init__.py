"""Tests of this kind; a package, so that two kinds may have files of one name."""
