"""What ``scripts/bench`` measures; not part of the product."""
