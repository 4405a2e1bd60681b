"""What is measured of each model that ships, and how its card sets it out: one file per model."""
