"""Progress of a build as values (`events`) and the renderers that show them (`plain`, `tty`, `rawjson`, `quiet`)."""
