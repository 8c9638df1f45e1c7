"""What a configuration costs before it is run: `zorro-keras plan`."""
