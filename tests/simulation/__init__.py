"""The production engine under a virtual clock and a seeded generator (DESIGN section 6)."""
