"""The figures that the product prints about itself, each against its peer in the same run."""
