"""How to choose: one file a policy, and a registry that names them."""
