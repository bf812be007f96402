"""The rooms that draw: the shell that every visit runs, and what pages share."""
