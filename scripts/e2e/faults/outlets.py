"""Standard error in a bad state: closed, or a full pipe without a reader."""

import os


def closed_standard_error(world):
    """Remora logs everything to a closed descriptor."""
    world.changed_remora(["sh", "-c", 'exec "$@" 2>&-', "sh"], LOG_LEVEL="debug")


def full_standard_error(world):
    """Remora logs everything to a full pipe."""
    path = world.stack.folder.path / "full"
    os.mkfifo(path)
    # Opened for both directions the pipe has a reader, and opening it does not block.
    stuck = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    world.undo(path.unlink)
    world.undo(lambda: os.close(stuck))
    fill(stuck)
    world.changed_remora(["sh", "-c", f'exec "$@" 2>{path}', "sh"], LOG_LEVEL="debug")


def fill(pipe):
    """Writes until the pipe is full to the last byte."""
    for size in (65_536, 1):
        try:
            while os.write(pipe, b"\n" * size):
                pass
        except BlockingIOError:
            continue
