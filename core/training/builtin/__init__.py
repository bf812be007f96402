"""The projects that come with Modeldeck. They run as child processes."""

DATA_AT = "modeldeck.data_at"
"""The run tag by which a trainer tells how old its data is: an ISO date or moment."""
