"""Promotion requests: asked for, checked, decided, carried out."""
