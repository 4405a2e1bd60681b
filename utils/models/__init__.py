"""The models of the course: `loading` brings them, `training` makes them, `measure` says what they can do."""
