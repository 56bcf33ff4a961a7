from typing import Any

class Function:
    @staticmethod
    def forward(*args: Any, **keywords: Any) -> Any: ...
    setup_context: Any

def __getattr__(name: str) -> Any: ...
