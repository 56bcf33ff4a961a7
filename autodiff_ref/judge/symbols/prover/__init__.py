"""The prover: decides whether two expressions are one real function, by exact normal forms and never from numbers.

It runs in a process of its own (`worker`), which must start fast and needs no JAX: nothing here imports anything of the
package but its neighbours, and these by relative imports, so that the worker can load this directory alone.
"""
