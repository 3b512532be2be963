"""Bongsu: public-safety analytics for several agencies that work together."""

import os

# By default Polars' allocator keeps freed memory until the kernel takes it, which a container's limit counts as used.
os.environ.setdefault("_RJEM_MALLOC_CONF", "muzzy_decay_ms:0")
