"""PyTorch code as programs: it runs on real tensors, and each operation below autograd is written down in JAX."""
