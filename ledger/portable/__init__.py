"""A checker of proofs that is one file of the standard library, made from the core, for machines without this project."""
