"""`python -m cli` is `tidemark`: how `up` starts its parts without looking for a script."""

from __future__ import annotations

from cli.main import main

main()
