"""What ``doctor`` looks at: one module for each part, each of which returns rows of findings."""
