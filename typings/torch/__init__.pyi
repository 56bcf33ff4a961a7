"""What this project uses of PyTorch, which is an extra: types are checked without it."""

from typing import Any

from torch import autograd as autograd

class dtype:
    @property
    def is_floating_point(self) -> bool: ...
    @property
    def is_complex(self) -> bool: ...
    @property
    def itemsize(self) -> int: ...

class device:
    type: str

class UntypedStorage:
    _cdata: int
    def nbytes(self) -> int: ...

class Size(tuple[int, ...]):
    def numel(self) -> int: ...

class Tensor:
    @property
    def shape(self) -> Size: ...
    dtype: dtype
    device: device
    requires_grad: bool
    grad_fn: Any
    is_leaf: bool
    _version: int
    def __getattr__(self, name: str) -> Any: ...
    def __add__(self, other: Any) -> Tensor: ...
    def __mul__(self, other: Any) -> Tensor: ...
    def numel(self) -> int: ...
    def stride(self) -> tuple[int, ...]: ...
    def storage_offset(self) -> int: ...
    def element_size(self) -> int: ...
    def untyped_storage(self) -> UntypedStorage: ...
    def detach(self) -> Tensor: ...
    def clone(self) -> Tensor: ...
    numpy: Any
    tolist: Any
    data_ptr: Any
    item: Any
    __array__: Any
    __dlpack__: Any
    def to(self, *args: Any, **keywords: Any) -> Tensor: ...
    def requires_grad_(self, requires_grad: bool = ...) -> Tensor: ...
    def is_contiguous(self) -> bool: ...

float64: dtype
float32: dtype
float16: dtype
bfloat16: dtype
complex64: dtype
complex128: dtype
int64: dtype
int32: dtype
int16: dtype
int8: dtype
uint8: dtype
bool: dtype

ops: Any
random: Any

def __getattr__(name: str) -> Any: ...
