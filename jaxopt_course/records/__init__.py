"""A study on disk; imports none of the other rooms, and so no jax."""
