"""The commands, one module each: build_parser, one verb, main."""
