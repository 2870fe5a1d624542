"""Drills: archives are read back into a scratch folder, and what came is proven."""
