"""One walker, several arithmetics: a jaxpr is planned once by a table of rules, and run on many inputs."""
