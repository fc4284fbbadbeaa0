"""The demonstration: the product's own commands on embedded servers, while clients write."""
