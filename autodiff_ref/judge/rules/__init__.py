"""The derivative rules that people write (`custom_jvp`, `custom_vjp`), judged against the functions that they belong to."""
