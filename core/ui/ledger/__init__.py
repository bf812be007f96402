"""Parts of the Ledger page: the lines, what stood where, and whether the record holds."""
