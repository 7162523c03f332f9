from typing import Any

from typing_extensions import Buffer

LOOPS: dict[str, int]
LINE_BYTES: int
FEED_BYTES: int
TEAM_BYTES: int

def run(
    lines: Buffer,
    batches: int = 1,
    feeds: Buffer | None = None,
    keeps: Buffer | None = None,
    team: Buffer | None = None,
    /,
) -> int: ...
def loop_in(capsule: Any, /) -> tuple[int, int, int, int, int]: ...
