"""From one source per chapter to a student notebook and a solution notebook."""
