"""The intermediate representation: ops on views of values, their equations, and an interpreter that runs them."""
