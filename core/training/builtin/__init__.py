"""The projects that come with Modeldeck. They run as child processes."""
