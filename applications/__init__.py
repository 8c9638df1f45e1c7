"""Applications: the way from real media to a served model, around the models of `zorro_keras`."""
