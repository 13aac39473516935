"""Standard error in a bad state: closed, or a pipe that is full and that nobody reads."""

import os


def closed_standard_error(world):
    """Remora logs everything to nowhere."""
    world.changed_remora(["sh", "-c", 'exec "$@" 2>&-', "sh"], LOG_LEVEL="debug")


def full_standard_error(world):
    """Remora logs everything, and its log is stuck."""
    path = world.stack.folder.path / "full"
    os.mkfifo(path)
    # Open for both directions, it has a reader, and opening it does not wait for one.
    stuck = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    world.undo(path.unlink)
    world.undo(lambda: os.close(stuck))
    fill(stuck)
    world.changed_remora(["sh", "-c", f'exec "$@" 2>{path}', "sh"], LOG_LEVEL="debug")


def fill(pipe):
    """Writes until not a byte more goes in."""
    for size in (65_536, 1):
        try:
            while os.write(pipe, b"\n" * size):
                pass
        except BlockingIOError:
            continue
